import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { commandLine, endProcess, isAlive, waitUntil, workingFolder } from './process.ts'

type StopStep = { signal: NodeJS.Signals; waitMs: number }

/** Fast shutdown is what `pg_ctl -m fast stop` sends; immediate shutdown (SIGQUIT) is still safe, it only costs a recovery. */
export const stopSteps: StopStep[] = [
  { signal: 'SIGINT', waitMs: 30_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
]

export const killSteps = stopSteps.slice(-1)

/** Ends the server of this data folder and waits for its backends, which notice the death of their parent by themselves. */
export async function endServer(pid: number, data: string, steps: StopStep[]): Promise<void> {
  await endProcess(pid, steps)
  await waitForBackends(data)
}

/** Stops the server that a killed launcher left running on this data, and clears the pid file of one that died too. */
export async function endLeftover(data: string, log?: (line: string) => void): Promise<void> {
  const pidFile = join(data, 'postmaster.pid')
  const pid = Number(readPidFile(data)[0])
  if (pid > 0 && isAlive(pid) && isServerOf(pid, data)) {
    log?.(`Stopping the Postgres that an earlier run left behind (process ${pid}).`)
    await endServer(pid, data, stopSteps)
    return
  }
  // The process is gone, or its number now belongs to a stranger, which Postgres itself could not tell from a server.
  rmSync(pidFile, { force: true })
  await waitForBackends(data)
}

/** The lines of postmaster.pid; the eighth says "ready" once the server takes connections. Empty without a server. */
export function readPidFile(data: string): string[] {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** All processes of the server on this data folder. Without /proc only the pid file tells, and this is empty. */
function serverProcesses(data: string): number[] {
  if (process.platform !== 'linux') return []
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
  return pids.filter((pid) => isServerOf(pid, data) && isAlive(pid))
}

/** A postmaster and its backends work in the data folder for life; that tells them from a stranger with the same number. */
function isServerOf(pid: number, data: string): boolean {
  if (process.platform !== 'linux') return commandLine(pid)?.includes(`-D ${data} `) ?? false
  return workingFolder(pid) === data && (commandLine(pid)?.includes('postgres') ?? false)
}

async function waitForBackends(data: string): Promise<void> {
  if (await waitUntil(() => serverProcesses(data).length === 0, 10_000)) return
  throw new Error(`Processes ${serverProcesses(data).join(', ')} still use ${data}.`)
}
