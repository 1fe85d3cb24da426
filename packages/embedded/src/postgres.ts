import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { claimFolder } from './claim.ts'
import { freePort } from './free-port.ts'
import { dataPath, ensureCluster, serverEnvironment, superuser } from './postgres-cluster.ts'
import { postgresIdentity, postgresProgramFolder } from './postgres-files.ts'
import { endLeftover, endServer, killSteps, readPidFile, stopSteps } from './postgres-processes.ts'
import { type Identity, lastLines, tieToUs, waitUntil } from './process.ts'

export type Log = (line: string) => void

export type PostgresOptions = {
  /** Holds the cluster (data/), the superuser's password (password, mode 0600) and the server's log (postgres.log). */
  dataFolder: string
  /** A fixed port on 127.0.0.1; by default a free one. */
  port?: number | undefined
  /** Further server settings by their postgresql.conf names; the ones that make a commit durable are refused. */
  settings?: Record<string, string | number>
  log?: Log | undefined
}

export type Postgres = {
  /** postgres://… of the superuser, database "postgres". */
  url: string
  port: number
  pid: number
  /** Disconnects clients, writes a checkpoint and ends the server. Calling it twice is harmless. */
  stop(): Promise<void>
  /** Ends the server by SIGKILL, as a crash would, for tests; the next start recovers from the write-ahead log. */
  kill(): Promise<void>
}

type Server = { url: string; port: number; pid: number; untie: () => void }

/** Crash recovery replays at most max_wal_size, which takes seconds; a minute without an answer means trouble. */
const startTimeoutMs = 60_000

/** For one laptop: room for the pools of all services at once. The JIT's libraries are not shipped, so it is off. */
const defaults = {
  // Two commits that wait for each other are found and one is run again; a second of waiting for that is too long.
  deadlock_timeout: '100ms',
  // Plans made while tables were empty walk a whole organization once they fill; statistics within seconds mend them, not in a minute.
  autovacuum_naptime: '5s',
  max_connections: 200,
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  random_page_cost: 1.1,
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  password_encryption: 'scram-sha-256',
}

/** What the promise of a commit rests on: not up for negotiation, not even in tests. */
const durable = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/**
 * Starts a real Postgres 18 on the folder, creating the cluster the first time, and resolves when it answers a query.
 * A server left behind by a killed launcher is stopped cleanly first; a folder in use by a live process is refused.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const fixed = Object.keys(options.settings ?? {}).filter((name) => name in durable)
  if (fixed.length > 0) throw new Error(`settings.${fixed[0]} cannot be changed: commits are durable everywhere.`)
  mkdirSync(options.dataFolder, { recursive: true })
  const folder = realpathSync(options.dataFolder)
  const data = join(folder, 'data')
  const release = claimFolder(folder)
  try {
    const identity = postgresIdentity(data)
    const programs = await postgresProgramFolder(identity)
    await endLeftover(data, options.log)
    const password = await ensureCluster(folder, programs, identity)
    const server = await launch(folder, programs, identity, password, options)
    options.log?.(`Postgres on 127.0.0.1:${server.port} (process ${server.pid}).`)
    let ending: Promise<void> | undefined
    const end = (steps: typeof stopSteps) => {
      ending ??= endServer(server.pid, data, steps).then(() => {
        server.untie()
        release()
      })
      return ending
    }
    return { url: server.url, port: server.port, pid: server.pid, stop: () => end(stopSteps), kill: () => end(killSteps) }
  } catch (error) {
    release()
    throw error
  }
}

async function launch(
  folder: string,
  programs: string,
  identity: Identity | undefined,
  password: string,
  options: PostgresOptions,
): Promise<Server> {
  const data = join(folder, 'data')
  const logFile = join(folder, 'postgres.log')
  const deadline = performance.now() + startTimeoutMs
  for (;;) {
    const port = options.port ?? (await freePort())
    const address = { listen_addresses: '127.0.0.1', unix_socket_directories: '', port }
    const args = ['-D', await dataPath(data, identity)]
    for (const [name, value] of Object.entries({ ...defaults, ...options.settings, ...durable, ...address })) {
      args.push('-c', `${name}=${value}`)
    }
    const { pid, ended } = await spawnServer(join(programs, 'bin', 'postgres'), args, data, logFile, identity)
    const untie = tieToUs(pid, 'SIGINT')
    const url = `postgres://${superuser}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
    try {
      await waitUntilReady(data, url, ended, deadline - performance.now())
      return { url, port, pid, untie }
    } catch (cause) {
      if (!ended()) await endServer(pid, data, stopSteps)
      untie()
      const words = lastLines(readFileSync(logFile, 'utf8'), 6)
      // A killed server's shared memory stays attached for a moment, and a free port may be taken before we bind it.
      const passing = /is still in use/.test(words) || (options.port === undefined && /Address already in use/.test(words))
      if (!passing || performance.now() > deadline) throw new Error(`Postgres did not start.\n${words}`, { cause })
    }
  }
}

async function spawnServer(program: string, args: string[], data: string, logFile: string, identity: Identity | undefined) {
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.previous`)
  const log = openSync(logFile, 'w', 0o600)
  try {
    // A file, not a pipe: the server must still be able to write its log when we are gone.
    const child = spawn(program, args, {
      cwd: data,
      detached: true,
      stdio: ['ignore', log, log],
      env: serverEnvironment(),
      ...identity,
    })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    child.unref()
    const pid = child.pid
    if (pid === undefined) throw new Error(`${program} has no process number.`)
    return { pid, ended: () => child.exitCode !== null || child.signalCode !== null }
  } finally {
    closeSync(log)
  }
}

/** Ready when the server says so in its pid file and answers a query with our password. */
async function waitUntilReady(data: string, url: string, ended: () => boolean, timeoutMs: number): Promise<void> {
  const saysReady = () => readPidFile(data)[7]?.trim() === 'ready'
  if (!(await waitUntil(() => ended() || saysReady(), timeoutMs))) throw new Error(`It was not ready after ${startTimeoutMs} ms.`)
  if (ended()) throw new Error('It ended while starting.')
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 10_000 })
  await client.connect()
  try {
    await client.query('select 1')
  } finally {
    await client.end()
  }
}
