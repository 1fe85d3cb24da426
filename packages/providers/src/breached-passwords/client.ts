import { createHash } from 'node:crypto'
import { type Dispatcher, Agent } from 'undici'
import { exchange } from '../http/exchange.ts'

/**
 * What the service knows of a password. `unanswered` is no verdict: whoever asked goes on without one, because a service of somebody else
 * must not decide whether anybody can sign up here.
 */
export type Sighting =
  | { outcome: 'breached'; times: number }
  | { outcome: 'not_seen' }
  | { outcome: 'unanswered'; message: string }

export interface BreachedPasswords {
  /** How often the password was seen in breaches. Only the first five hexadecimal digits of its SHA-1 leave this machine. */
  look(password: string): Promise<Sighting>
  close(): Promise<void>
}

export interface BreachedPasswordsOptions {
  /** What the five digits are put behind: `https://api.pwnedpasswords.com/range`, or a copy of one's own. */
  baseUrl: string
  dispatcher?: Dispatcher
  timeoutMs?: number
}

/** Somebody waits for the answer with a form in front of them. */
const defaultTimeoutMs = 2_000
/** About 1,000 lines of 40 bytes when padded; the range search's documentation names 800 to 1,000 results. */
const maxAnswerBytes = 256 * 1024
const prefixDigits = 5
/** `0018A45C4D1DEF81644B54AB7F969B88D65:12`: the other 35 digits, and how often. */
const line = /^([0-9A-F]{35}):(\d{1,12})$/

/**
 * The range search of Pwned Passwords (https://haveibeenpwned.com/API/v3#PwnedPasswords): the answer has every hash that begins with the
 * five digits, and we look for ours in it, so the service does not learn which one was meant. `Add-Padding` makes all answers about
 * as long, against who counts bytes on the way; the lines that pad have the count 0 and mean nothing.
 */
export function openBreachedPasswords(options: BreachedPasswordsOptions): BreachedPasswords {
  const baseUrl = options.baseUrl.replace(/\/+$/, '')
  const own = options.dispatcher ? undefined : new Agent({ connections: 4, connect: { timeout: 1_000 } })
  const dispatcher = options.dispatcher ?? (own as Agent)
  return {
    async look(password) {
      const digits = createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase()
      const answer = await exchange(dispatcher, {
        method: 'GET',
        url: `${baseUrl}/${digits.slice(0, prefixDigits)}`,
        headers: { accept: 'text/plain', 'add-padding': 'true', 'user-agent': 'parley' },
        timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
        maxAnswerBytes,
      })
      if (!answer.ok) return { outcome: 'unanswered', message: answer.message }
      if (answer.status !== 200) return { outcome: 'unanswered', message: `The service answered ${answer.status}.` }
      return find(answer.body.toString('latin1'), digits.slice(prefixDigits))
    },
    close: async () => own?.close(),
  }
}

/** Every line must be one of the format: a page that somebody's proxy put there says nothing about the password. */
function find(text: string, rest: string): Sighting {
  let times = 0
  for (const row of text.split(/\r?\n/)) {
    if (row === '') continue
    const [, suffix, count] = line.exec(row) ?? []
    if (suffix === undefined) return { outcome: 'unanswered', message: 'The answer is not a list of hashes.' }
    if (suffix === rest) times = Number(count)
  }
  return times > 0 ? { outcome: 'breached', times } : { outcome: 'not_seen' }
}
