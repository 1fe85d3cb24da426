import { fork } from 'node:child_process'
import { once } from 'node:events'

/** What a worker may be asked beside its own calls. */
interface Usage {
  /** CPU time since it was open: loading the code is no part of the work. */
  cpuMs: number
  rssMb: number
}

export interface Worker {
  pid: number
  /** What the worker's `open` answered. */
  ready: unknown
  call(name: string, input?: unknown): Promise<unknown>
  usage(): Promise<Usage>
  stop(): Promise<void>
}

export interface Opened {
  ready?: unknown
  calls?: Record<string, (input: never) => Promise<unknown>>
  close(): Promise<void>
}

interface Request {
  id: number
  name: string
  input?: unknown
}
interface Answer {
  id: number
  result?: unknown
  error?: string
}

const openMs = 60_000
const callMs = 10 * 60_000
const stopMs = 30_000

/** Runs a file of this folder as a process of its own, so that each side of a pair pays for its own CPU and nothing else. */
export async function startWorker(file: URL, settings: unknown, options: { execArgv?: string[] } = {}): Promise<Worker> {
  const child = fork(file, [], { execArgv: options.execArgv ?? [], stdio: ['ignore', 2, 2, 'ipc'], serialization: 'advanced' })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let lastId = 0
  child.on('message', (message) => {
    const { id, result, error } = message as Answer
    const entry = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) entry?.resolve(result)
    else entry?.reject(new Error(error))
  })
  const ended = once(child, 'exit').then(([code, signal]) => {
    for (const entry of waiting.values()) entry.reject(new Error(`${file.pathname} ended (${code ?? signal}).`))
    waiting.clear()
  })
  function call(name: string, input: unknown, timeoutMs: number): Promise<unknown> {
    const id = ++lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`'${name}' took longer than ${timeoutMs} ms.`)), timeoutMs)
      waiting.set(id, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      })
      const request: Request = { id, name, input }
      child.send(request, (error) => {
        if (error) waiting.get(id)?.reject(error)
      })
    })
  }
  async function stop(): Promise<void> {
    const killer = setTimeout(() => child.kill('SIGKILL'), stopMs)
    // It may have ended already; then there is nobody to tell.
    if (child.connected) await call('close', undefined, stopMs).catch(() => child.kill('SIGKILL'))
    await ended
    clearTimeout(killer)
  }
  try {
    const ready = await call('open', settings, openMs)
    return {
      pid: child.pid ?? 0,
      ready,
      call: (name, input) => call(name, input, callMs),
      usage: async () => (await call('usage', undefined, callMs)) as Usage,
      stop,
    }
  } catch (error) {
    child.kill('SIGKILL')
    await ended
    throw error
  }
}

/** The other side: what a worker file does with the settings it is given. It ends with its parent. */
export function serveWorker<Settings>(open: (settings: Settings) => Promise<Opened>): void {
  let opened: Opened | undefined
  let cpuAtOpen = process.cpuUsage()
  const own: Record<string, (input: never) => Promise<unknown>> = {
    async open(settings: Settings) {
      opened = await open(settings)
      cpuAtOpen = process.cpuUsage()
      return opened.ready
    },
    async usage(): Promise<Usage> {
      const { user, system } = process.cpuUsage(cpuAtOpen)
      return { cpuMs: (user + system) / 1000, rssMb: process.memoryUsage.rss() / 1024 ** 2 }
    },
    async close() {
      await opened?.close()
    },
  }
  process.on('message', (message) => {
    const { id, name, input } = message as Request
    const work = own[name] ?? opened?.calls?.[name]
    const run = work ? work(input as never) : Promise.reject(new Error(`There is no call '${name}'.`))
    run.then(
      (result) => answer({ id, result }, name === 'close'),
      (error: unknown) => answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, false),
    )
  })
  process.on('disconnect', () => process.exit(0))
}

function answer(message: Answer, last: boolean): void {
  process.send?.(message, undefined, {}, () => {
    if (last) process.exit(0)
  })
}
