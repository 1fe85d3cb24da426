import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import type { Environment } from './environment.ts'
import { failure } from './failure.ts'
import { projectFolder } from './home.ts'
import type { LogSink } from './log-sink.ts'

/** One process of a service. */
export interface Replica {
  readonly service: string
  readonly name: string
  readonly pid: number
  url: string
  adminUrl: string
  /** `up`: takes calls. `leaving`: finishes what it has. */
  state: 'starting' | 'up' | 'leaving' | 'gone'
  /** Calls under way through the door. */
  calls: number
}

export interface Supervisor {
  replicas(): readonly Replica[]
  /** Those that take calls now. */
  live(service: string): readonly Replica[]
  /** Processes that died without being asked to, so far. */
  deaths(): number
  /** Replaces each process of a service by a new one, one after the other, so that some always serve. */
  rollingRestart(service: string): Promise<void>
  /** One more process of a service; resolves when it takes calls. */
  add(service: string): Promise<Replica>
  /** SIGTERM to all, SIGKILL to those that are still there after the grace time. */
  stop(): Promise<void>
}

export interface SupervisorOptions {
  /** Processes per service. */
  plan: readonly { service: string; replicas: number }[]
  /** The whole environment of a service's process. */
  environmentOf(service: string): Environment
  /** A command that begins with what it is given (`nice`, `taskset`) and ends by becoming the process. Default none. */
  launchUnder?(service: string): readonly string[]
  sink: LogSink
  onDeath?(replica: Replica, how: string): void
  graceMs?: number
  /** Longest wait before a process that keeps dying is started again. */
  longestPauseMs?: number
}

const readyTimeoutMs = 60_000
/** A process that held out this long was not a bad start: the next pause begins small again. */
const stableMs = 30_000
const Ready = z.object({ ready: z.literal(true), url: z.string(), adminUrl: z.string() })

/** Starts the processes of a plan and keeps them running. Rejects, with none left, when one of the first does not come up. */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { sink, graceMs = 28_000, longestPauseMs = 10_000 } = options
  const running = new Map<Replica, ChildProcess>()
  const pauses = new Map<string, number>()
  const timers = new Set<NodeJS.Timeout>()
  let number = 0
  let deaths = 0
  let stopping = false

  function launch(service: string): { replica: Replica; ready: Promise<Replica> } {
    const program = join(projectFolder, 'services', service, 'src', 'main.ts')
    // The preload turns our death, however sudden, into a SIGTERM to the child: nobody is left behind.
    const preload = join(projectFolder, 'scripts', 'lib', 'child.mjs')
    const command = [...(options.launchUnder?.(service) ?? []), process.execPath, '--import', preload, program]
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: projectFolder,
      // A group of its own: Ctrl-C in the terminal must reach us alone, who stop them in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...options.environmentOf(service), PORT: '0', ADMIN_PORT: '0' },
    })
    const replica: Replica = {
      service,
      name: `${service}-${++number}`,
      pid: child.pid ?? 0,
      url: '',
      adminUrl: '',
      state: 'starting',
      calls: 0,
    }
    running.set(replica, child)
    if (child.stdout) sink.follow(service, child.stdout)
    if (child.stderr) sink.follow(service, child.stderr)
    const startedAt = performance.now()
    const ready = new Promise<Replica>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(failure(`${replica.name} was not ready after ${readyTimeoutMs / 1000} s; the log tells what it waited for.`))
        child.kill('SIGKILL')
      }, readyTimeoutMs)
      child.once('error', (cause) => reject(failure(`${replica.name} does not start: ${cause.message}`, cause)))
      child.on('message', (message) => {
        const facts = Ready.safeParse(message)
        if (!facts.success) return
        clearTimeout(timer)
        replica.url = facts.data.url
        replica.adminUrl = facts.data.adminUrl
        if (replica.state === 'starting') replica.state = 'up'
        resolve(replica)
      })
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        running.delete(replica)
        const was = replica.state
        replica.state = 'gone'
        const how = signal ?? `code ${code}`
        reject(failure(`${replica.name} ended while starting (${how}); the log has its last words.`))
        if (was !== 'up' || stopping) return
        deaths++
        options.onDeath?.(replica, how)
        revive(service, performance.now() - startedAt)
      })
    })
    ready.catch(() => undefined) // Whoever waits for it hears of it; a restart in the background hears of it by `exit`.
    return { replica, ready }
  }

  function revive(service: string, livedMs: number): void {
    const pauseMs = livedMs > stableMs ? 200 : Math.min((pauses.get(service) ?? 100) * 2, longestPauseMs)
    pauses.set(service, pauseMs)
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (stopping) return
      launch(service).ready.catch(() => {
        if (!stopping) revive(service, 0)
      })
    }, pauseMs)
    timers.add(timer)
  }

  async function end(replica: Replica): Promise<void> {
    const child = running.get(replica)
    if (!child) return
    replica.state = 'leaving'
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(timer)
  }

  async function stop(): Promise<void> {
    stopping = true
    for (const timer of timers) clearTimeout(timer)
    await Promise.all([...running.keys()].map(end))
  }

  const of = (service: string) => [...running.keys()].filter((replica) => replica.service === service)
  try {
    await Promise.all(
      options.plan.flatMap(({ service, replicas }) => Array.from({ length: replicas }, () => launch(service).ready)),
    )
  } catch (error) {
    await stop()
    throw error
  }
  return {
    replicas: () => [...running.keys()],
    live: (service) => of(service).filter((replica) => replica.state === 'up'),
    deaths: () => deaths,
    async rollingRestart(service) {
      for (const old of of(service).filter((replica) => replica.state === 'up')) {
        await launch(service).ready
        // Out of the door's rotation first; its calls under way get a moment, streams are cut and come back elsewhere.
        old.state = 'leaving'
        for (const deadline = performance.now() + 2_000; old.calls > 0 && performance.now() < deadline; ) {
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
        await end(old)
      }
    },
    add: (service) => launch(service).ready,
    stop,
  }
}
