import { AppError } from '@parley/runtime'
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)

/** OWASP's first choice for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. About 30 ms of one core. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 } as const
const saltBytes = 16
const hashBytes = 32

export interface Passwords {
  /** The password's PHC text. */
  hash(password: string): Promise<string>
  /** Whether it is the password; without a stored text it works as long and says no, so that nobody learns who is here by the clock. */
  verify(password: string, stored: string | null): Promise<boolean>
}

export interface PasswordLimits {
  /** At once: each takes 19 MiB and a thread of the four that files and names are looked up with too. */
  concurrent: number
  /** Waiting; beyond them callers are told to come back. */
  waiting: number
}

/** Hashing off the main thread, a few at once: a flood of sign-ins waits and is then refused, it does not take the process's memory. */
export function openPasswords({ concurrent, waiting }: PasswordLimits = { concurrent: 2, waiting: 64 }): Passwords {
  let running = 0
  const queue: (() => void)[] = []

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= concurrent) {
      if (queue.length >= waiting)
        throw new AppError('unavailable', 'Too many people are signing in right now. Try again in a moment.')
      // Whoever leaves hands on its place, so `running` stays as it is.
      await new Promise<void>((resolve) => queue.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next === undefined) running--
      else next()
    }
  }

  const run = (password: string, salt: Uint8Array, parameters: { memory: number; passes: number; parallelism: number }) =>
    inTurn(() => derive('argon2id', { message: password, nonce: salt, tagLength: hashBytes, ...parameters }))

  const noSalt = randomBytes(saltBytes)
  return {
    async hash(password) {
      const salt = randomBytes(saltBytes)
      return phcText(salt, await run(password, salt, cost))
    },
    async verify(password, stored) {
      if (stored === null) {
        await run(password, noSalt, cost)
        return false
      }
      const { salt, hash, ...parameters } = readPhc(stored)
      return timingSafeEqual(await run(password, salt, parameters), hash)
    },
  }
}

const unpadded = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

function phcText(salt: Uint8Array, hash: Uint8Array): string {
  const { memory, passes, parallelism } = cost
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(hash)}`
}

const phc = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{11,})\$([A-Za-z0-9+/]{43})$/

function readPhc(text: string) {
  const [, memory, passes, parallelism, salt, hash] = phc.exec(text) ?? []
  if (salt === undefined || hash === undefined) throw new TypeError('Not a PHC text of argon2id.')
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

/** True when a stored text was made at another cost than today's: it is made anew while the password is at hand. */
export const isOldHash = (stored: string): boolean =>
  !stored.startsWith(`$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$`)
