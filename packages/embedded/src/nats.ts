import { spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { claimFolder } from './claim.ts'
import { checkNatsVersion, findNatsServer } from './nats-binary.ts'
import { commandLine, endProcess, isAlive, lastLines, tieToUs, waitUntil } from './process.ts'

export type NatsOptions = {
  /** Holds the streams (jetstream/), the settings (nats.conf) and the server's log (nats.log). */
  storeFolder: string
  /** A fixed port on 127.0.0.1; by default a free one. */
  port?: number | undefined
  /** The nats-server to run; by default findNatsServer() looks for one. */
  binary?: string | undefined
  /** The `accounts` of its settings: who may log in, and what each may do. Without them, whoever may log in to this machine may use it. */
  accounts?: string | undefined
  log?: ((line: string) => void) | undefined
}

export type Nats = {
  /** nats://127.0.0.1:port, without credentials. */
  url: string
  /** http://127.0.0.1:port of the server's monitoring: /varz, /jsz, /healthz. */
  monitoringUrl: string
  port: number
  pid: number
  /** Ends the server after it wrote everything. Calling it twice is harmless. */
  stop(): Promise<void>
  /** Ends the server by SIGKILL, as a crash would, for tests. */
  kill(): Promise<void>
}

type StopStep = { signal: NodeJS.Signals; waitMs: number }

const startTimeoutMs = 30_000
const killSteps: StopStep[] = [{ signal: 'SIGKILL', waitMs: 5_000 }]
/** SIGINT is what `nats-server --signal quit` sends. */
const stopSteps: StopStep[] = [{ signal: 'SIGINT', waitMs: 15_000 }, ...killSteps]

/**
 * Starts a real nats-server with JetStream on the folder and resolves when its streams are recovered.
 * A server left behind by a killed launcher is stopped cleanly first; a folder in use by a live process is refused.
 */
export async function startNats(options: NatsOptions): Promise<Nats> {
  const binary = options.binary ?? (await findNatsServer({ log: options.log }))
  if (options.binary !== undefined) await checkNatsVersion(binary, options.log)
  mkdirSync(options.storeFolder, { recursive: true })
  const folder = realpathSync(options.storeFolder)
  const release = claimFolder(folder)
  try {
    await endLeftoverNats(folder, options.log)
    const server = await launch(folder, binary, options)
    options.log?.(`NATS on 127.0.0.1:${server.port} (process ${server.pid}).`)
    let ending: Promise<void> | undefined
    const end = (steps: StopStep[]) => {
      ending ??= endProcess(server.pid, steps).then(() => {
        server.untie()
        release()
      })
      return ending
    }
    const { url, monitoringUrl, port, pid } = server
    return { url, monitoringUrl, port, pid, stop: () => end(stopSteps), kill: () => end(killSteps) }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * The server's settings. By default JetStream acknowledges at once but flushes to disk every two minutes, so a power cut
 * loses acknowledged messages (nats-server issue 7564); on a single node every write is flushed before its acknowledgement.
 * Port -1 lets the server take a free one and write it into the ports file, so nobody can take it in between.
 */
function settings(folder: string, { port, accounts = '' }: NatsOptions): string {
  return `server_name: parley
listen: "127.0.0.1:${port ?? -1}"
http: "127.0.0.1:-1"
ports_file_dir: ${JSON.stringify(join(folder, 'ports'))}
pid_file: ${JSON.stringify(join(folder, 'nats.pid'))}
max_payload: 1MB
write_deadline: "10s"
jetstream {
  store_dir: ${JSON.stringify(folder)}
  sync_interval: always
}
${accounts}`
}

async function launch(folder: string, binary: string, options: NatsOptions) {
  const portsFolder = join(folder, 'ports')
  rmSync(portsFolder, { recursive: true, force: true })
  mkdirSync(portsFolder)
  const settingsFile = join(folder, 'nats.conf')
  // It may hold passwords; one left by an earlier version keeps its mode when it is written over.
  writeFileSync(settingsFile, settings(folder, options), { mode: 0o600 })
  chmodSync(settingsFile, 0o600)
  const logFile = join(folder, 'nats.log')
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.previous`)
  const log = openSync(logFile, 'w', 0o600)
  try {
    // A file, not a pipe: the server must still be able to write its log when we are gone.
    const child = spawn(binary, ['-c', settingsFile], { cwd: folder, detached: true, stdio: ['ignore', log, log] })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    child.unref()
    const pid = child.pid
    if (pid === undefined) throw new Error(`${binary} has no process number.`)
    const untie = tieToUs(pid, 'SIGINT')
    const ended = () => child.exitCode !== null || child.signalCode !== null
    try {
      const ports = await waitUntilReady(portsFolder, ended)
      return { ...ports, pid, untie }
    } catch (cause) {
      if (!ended()) await endProcess(pid, stopSteps)
      untie()
      throw new Error(`nats-server did not start.\n${lastLines(readFileSync(logFile, 'utf8'), 6)}`, { cause })
    }
  } finally {
    closeSync(log)
  }
}

/** Ready when the ports file is there and the health check says that JetStream has recovered its streams. */
async function waitUntilReady(portsFolder: string, ended: () => boolean) {
  let ports: { url: string; monitoringUrl: string; port: number } | undefined
  const ready = await waitUntil(async () => {
    if (ended()) return true
    ports ??= readPorts(portsFolder)
    return ports !== undefined && (await isHealthy(ports.monitoringUrl))
  }, startTimeoutMs)
  if (ended()) throw new Error('It ended while starting.')
  if (!ready || !ports) throw new Error(`It was not ready after ${startTimeoutMs} ms.`)
  return ports
}

function readPorts(portsFolder: string) {
  const [file] = readdirSync(portsFolder)
  if (!file) return undefined
  const text = readFileSync(join(portsFolder, file), 'utf8')
  if (!text.trimEnd().endsWith('}')) return undefined // Still being written.
  const { nats, monitoring } = JSON.parse(text) as { nats?: string[]; monitoring?: string[] }
  const url = nats?.[0]
  const monitoringUrl = monitoring?.[0]
  return url && monitoringUrl ? { url, monitoringUrl, port: Number(new URL(url).port) } : undefined
}

async function isHealthy(monitoringUrl: string): Promise<boolean> {
  try {
    return (await fetch(`${monitoringUrl}/healthz`, { signal: AbortSignal.timeout(5_000) })).ok
  } catch {
    return false // Not listening yet; the caller keeps asking until its own time is up.
  }
}

/** Stops the server that a killed launcher left running on this store. */
export async function endLeftoverNats(folder: string, log?: (line: string) => void): Promise<void> {
  const pidFile = join(folder, 'nats.pid')
  if (!existsSync(pidFile)) return
  const pid = Number(readFileSync(pidFile, 'utf8'))
  // The settings file on its command line tells our server from a stranger that got the same process number.
  if (pid > 0 && isAlive(pid) && commandLine(pid)?.includes(join(folder, 'nats.conf'))) {
    log?.(`Stopping the nats-server that an earlier run left behind (process ${pid}).`)
    await endProcess(pid, stopSteps)
  }
  rmSync(pidFile, { force: true })
}
