import { createWriteStream, existsSync, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import pretty from 'pino-pretty'

/** Where the JSON lines of all services go. */
export interface LogSink {
  write(line: string): void
  /** Takes over the output of a child process; a line that is no JSON is kept as a message of that child. */
  follow(name: string, output: Readable): void
  /** From now on nothing is said any more, only written: while servers go down, connections break, as they should. */
  hush(): void
  close(): Promise<void>
}

const largestLogBytes = 64 * 1024 ** 2
/** pino's number for it; errors are above. */
const warning = 40

/**
 * Everything into the file; warnings and errors to `say` too, in one line each, or with `verbose` all of it to the terminal. A
 * file that has grown large is set aside at start.
 */
export function openLogSink(options: { file: string; verbose: boolean; say(line: string): void }): LogSink {
  if (existsSync(options.file) && statSync(options.file).size > largestLogBytes) renameSync(options.file, `${options.file}.1`)
  const file = createWriteStream(options.file, { flags: 'a', mode: 0o600 })
  const terminal = options.verbose
    ? pretty({ colorize: process.stdout.isTTY === true, ignore: 'pid,hostname,name', destination: 1, sync: true })
    : undefined

  let hushed = false

  function write(text: string): void {
    const line = text.endsWith('\n') ? text : `${text}\n`
    file.write(line)
    if (terminal) terminal.write(line)
    else if (!hushed && Number(/"level":(\d+)/.exec(line)?.[1] ?? 0) >= warning) options.say(inWords(line))
  }

  return {
    write,
    follow(name, output) {
      createInterface({ input: output }).on('line', (line) => {
        if (line.trim() === '') return
        write(
          line.startsWith('{')
            ? line
            : JSON.stringify({ level: warning, time: new Date().toISOString(), service: name, msg: line }),
        )
      })
    },
    hush() {
      hushed = true
    },
    close: () =>
      new Promise((resolve) => {
        terminal?.end()
        file.end(() => resolve())
      }),
  }
}

function inWords(line: string): string {
  try {
    const { level, service, msg, err } = JSON.parse(line) as {
      level: number
      service?: string
      msg?: string
      err?: { message?: string }
    }
    const cause = err?.message === undefined ? '' : ` (${err.message})`
    return `${level > warning ? 'error' : 'warning'}: ${service ?? 'parley'}: ${msg ?? ''}${cause}`
  } catch {
    return line.trim() // Cut off in the middle; better shown than dropped.
  }
}
