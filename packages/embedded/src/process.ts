import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** The system user that a child runs as; undefined means our own. */
export type Identity = { uid: number; gid: number }

export type RunOptions = { timeoutMs: number; cwd?: string; identity?: Identity | undefined; env?: NodeJS.ProcessEnv }

/** Runs a program to its end and returns what it printed; throws with its last words when it fails or takes too long. */
export async function run(command: string, args: string[], options: RunOptions): Promise<string> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...options.identity,
  })
  let printed = ''
  const collect = (chunk: Buffer) => (printed += chunk.toString('utf8'))
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  if (code === 0) return printed
  const how = signal === 'SIGKILL' ? `did not end within ${options.timeoutMs} ms` : `ended with ${code ?? signal}`
  throw new Error(`${command} ${how}: ${lastLines(printed, 8) || 'it printed nothing'}`)
}

/** The last non-empty lines of a program's output, for an error message. */
export function lastLines(text: string, count: number): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.slice(-count).join('\n')
}

/** True while a process runs. A zombie counts as gone: in a container nobody may ever reap an orphan. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return linuxStat(pid)?.state !== 'Z'
}

/** When a process started, in whatever unit the system gives: two readings are equal only for the same process. */
export function startedAt(pid: number): string | undefined {
  if (process.platform === 'linux') return linuxStat(pid)?.startTicks
  return ps(pid, 'lstart=')
}

/** The command line of a process, its arguments joined by spaces; undefined when it is gone. */
export function commandLine(pid: number): string | undefined {
  if (process.platform !== 'linux') return ps(pid, 'command=')
  return readProc(pid, 'cmdline')?.replaceAll('\0', ' ').trim()
}

/** The folder a process works in; undefined when it is gone, is not ours to look at, or the system does not say. */
export function workingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

/** Sends a signal and says whether there was still a process to receive it. */
function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Polls until the condition holds; false when the time is up first. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, timeoutMs: number, everyMs = 20): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await condition()) return true
    if (performance.now() >= deadline) return false
    await delay(everyMs)
  }
}

/** Ends a process with ever ruder signals, each given its time; returns once it is gone. */
export async function endProcess(pid: number, steps: { signal: NodeJS.Signals; waitMs: number }[]): Promise<void> {
  for (const { signal, waitMs } of steps) {
    if (!isAlive(pid) || !signalProcess(pid, signal)) return
    if (await waitUntil(() => !isAlive(pid), waitMs)) return
  }
  throw new Error(`Process ${pid} did not end, not even by ${steps.at(-1)?.signal}.`)
}

const tied = new Map<number, NodeJS.Signals>()

/**
 * Ties a child to us: if our process exits without having stopped it, it receives this signal. The children are
 * detached (Ctrl-C reaches the whole foreground group, and a database must outlive the services that write to it),
 * so without this they would stay behind.
 */
export function tieToUs(pid: number, signal: NodeJS.Signals): () => void {
  if (tied.size === 0) process.on('exit', signalTied)
  tied.set(pid, signal)
  return () => {
    tied.delete(pid)
    if (tied.size === 0) process.off('exit', signalTied)
  }
}

function signalTied(): void {
  for (const [pid, signal] of tied) signalProcess(pid, signal)
}

/** Field 3 (state) and field 22 (start time) of /proc/<pid>/stat; the name in between may itself hold spaces and brackets. */
function linuxStat(pid: number): { state: string; startTicks: string } | undefined {
  const text = readProc(pid, 'stat')
  if (text === undefined) return undefined
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', startTicks: fields[19] ?? '' }
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined // The process is gone, or this system has no /proc.
  }
}

function ps(pid: number, column: string): string | undefined {
  try {
    return execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 }).trim() || undefined
  } catch {
    return undefined // ps exits with 1 when there is no such process.
  }
}
