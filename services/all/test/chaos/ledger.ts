import { closeSync, fdatasync, openSync, write } from 'node:fs'
import { promisify } from 'node:util'

/**
 * What came of a send, as the sender can know it. `ok`: answered 2xx. `fail`: every try was refused before it could have an effect.
 * `info`: nobody knows; it may have been stored, and must then be there once.
 */
export type Outcome = 'ok' | 'fail' | 'info'

export interface Send {
  /** The provider's id of the fact; two sends with one id are duplicates. */
  id: string
  /** Words that the answer repeats; null where none is expected. */
  ref: string | null
  chat: string
  /** Milliseconds of this process' clock. */
  begunAt: number
  endedAt: number
  outcome: Outcome
  /** Answers of all tries, in order: a status, or the error's code. */
  answers: (number | string)[]
  receiptIds: string[]
}

export interface Ledger {
  readonly sends: readonly Send[]
  /** Before the first byte goes out. */
  begin(entry: Pick<Send, 'id' | 'ref' | 'chat'>): Promise<void>
  end(send: Send): Promise<void>
  close(): void
}

/** The sender's own book, on disk before anybody acts on it: it stays true whatever happens to us. Lines that come together share one fsync. */
export function openLedger(file: string): Ledger {
  const fd = openSync(file, 'a')
  const sends: Send[] = []
  let lines: string[] = []
  let flushing: Promise<void> | undefined

  function append(line: object): Promise<void> {
    lines.push(`${JSON.stringify(line)}\n`)
    flushing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
      const text = lines.join('')
      lines = []
      flushing = undefined
      await promisify(write)(fd, text)
      await promisify(fdatasync)(fd)
    })
    return flushing
  }
  return {
    sends,
    begin: (entry) => append({ begin: entry }),
    async end(send) {
      sends.push(send)
      await append({ end: send })
    },
    close: () => closeSync(fd),
  }
}
