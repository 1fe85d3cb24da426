import { createHash, randomBytes } from 'node:crypto'
import type { Faults } from '../http/faults.ts'
import { startSimulatorServer } from '../http/simulator-server.ts'

export interface BreachedPasswordsSimulator {
  /** What to give the client: the address of the range search. */
  url: string
  faults: Faults
  /** All that the service was told: what was asked for behind `/range/`, oldest first. */
  asked: readonly string[]
  close(): Promise<void>
}

/** Longer than the shortest real answer, short enough to be made for each call. */
const paddedTo = 800

/**
 * Pwned Passwords' other side: the range search over the passwords that it is given. Answers text with CRLF, padded only when asked, 400 for
 * what is not five hexadecimal digits, as the documentation says (https://haveibeenpwned.com/API/v3#PwnedPasswords).
 */
export async function startBreachedPasswordsSimulator(options: {
  port?: number
  /** Password and how often it was seen. */
  seen: Readonly<Record<string, number>>
}): Promise<BreachedPasswordsSimulator> {
  const hashes = Object.entries(options.seen).map(([password, times]) => ({
    digits: createHash('sha1').update(password, 'utf8').digest('hex').toUpperCase(),
    times,
  }))
  const asked: string[] = []
  const server = await startSimulatorServer({
    port: options.port,
    faultsApplyTo: () => true,
    handle({ method, path, headers }) {
      const prefix = /^\/range\/([^/]*)$/.exec(path)?.[1]
      if (method !== 'GET' || prefix === undefined) return plain(404, 'Not found.')
      asked.push(prefix)
      if (!/^[0-9A-Fa-f]{5}$/.test(prefix)) return plain(400, 'The hash prefix was not in a valid format')
      const rows = hashes
        .filter(({ digits }) => digits.startsWith(prefix.toUpperCase()))
        .map(({ digits, times }) => `${digits.slice(5)}:${times}`)
      if (headers['add-padding'] === 'true')
        while (rows.length < paddedTo) rows.push(`${randomBytes(18).toString('hex').slice(0, 35).toUpperCase()}:0`)
      return plain(200, rows.toSorted().join('\r\n'))
    },
  })
  return { url: `${server.url}/range`, faults: server.faults, asked, close: () => server.close() }
}

const plain = (status: number, text: string) => ({
  status,
  body: Buffer.from(text, 'latin1'),
  headers: { 'content-type': 'text/plain' },
})
