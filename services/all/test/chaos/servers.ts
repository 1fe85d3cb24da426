import { type Nats, type Postgres, startNats, startPostgres } from '@parley/embedded'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { NatsLogins } from '../../src/nats-logins.ts'

/** A database server that can be killed and comes back on the same data and port. */
export interface DatabaseServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** `fast` disconnects everybody and writes a checkpoint; `kill` is a crash: the next start recovers from the log. */
  restart(how: 'fast' | 'kill'): Promise<void>
  /** SIGSTOP for so long to the server and every process of it: connections stay, and nobody answers. */
  freeze(ms: number): Promise<void>
  stop(): Promise<void>
}

/** A broker that can be killed and comes back on the same store and port. */
export interface BrokerServer {
  readonly url: string
  /** What a client is told to log in as one who may do everything, for whoever looks on or breaks things. */
  readonly login: { servers: string; user: string; pass: string }
  readonly port: number
  readonly pid: number
  restart(how: 'stop' | 'kill', options?: { downMs?: number; store?: 'as it is' | 'empty' | 'as remembered' }): Promise<void>
  /** Keeps the store as it is on disk now. */
  rememberStore(): void
  /** SIGSTOP for so long: alive, and deaf. */
  freeze(ms: number): Promise<void>
  stop(): Promise<void>
}

export const maxConnections = 150

export async function openDatabase(folder: string): Promise<DatabaseServer> {
  const options = { dataFolder: join(folder, 'pg'), settings: { max_connections: maxConnections } }
  let server: Postgres = await startPostgres(options)
  const { url, port } = server
  return {
    url,
    port,
    get pid() {
      return server.pid
    },
    async restart(how) {
      await (how === 'fast' ? server.stop() : server.kill())
      server = await startPostgres({ ...options, port })
    },
    async freeze(ms) {
      // The one that starts others first: there are no new ones then.
      process.kill(server.pid, 'SIGSTOP')
      const stopped = [server.pid]
      try {
        for (const pid of childrenOf(server.pid)) {
          process.kill(pid, 'SIGSTOP')
          stopped.push(pid)
        }
        await wait(ms)
      } finally {
        for (const pid of stopped.reverse()) process.kill(pid, 'SIGCONT')
      }
    },
    stop: () => server.stop(),
  }
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      // The name in brackets may hold spaces; state and parent follow it.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    } catch {
      return false // It ended meanwhile.
    }
  })
}

/** With the logins of the services, as anywhere else, and one more. */
export async function openBroker(folder: string, logins: NatsLogins): Promise<BrokerServer> {
  const storeFolder = join(folder, 'nats')
  const store = join(storeFolder, 'jetstream')
  const remembered = join(folder, 'nats-remembered')
  mkdirSync(storeFolder, { recursive: true })
  const pass = randomBytes(18).toString('base64url')
  // The first list of logins is that of the streams' own account.
  const accounts = logins.settings.replace('users: [', `users: [\n      { user: "onlooker", password: "${pass}" }`)
  let server: Nats = await startNats({ storeFolder, accounts })
  const { url, port } = server
  return {
    url,
    port,
    login: { servers: url, user: 'onlooker', pass },
    get pid() {
      return server.pid
    },
    rememberStore() {
      rmSync(remembered, { recursive: true, force: true })
      cpSync(store, remembered, { recursive: true })
    },
    async restart(how, { downMs = 0, store: wanted = 'as it is' } = {}) {
      await server[how]()
      if (wanted !== 'as it is') rmSync(store, { recursive: true })
      if (wanted === 'as remembered') cpSync(remembered, store, { recursive: true })
      await wait(downMs)
      server = await startNats({ storeFolder, port, accounts })
    },
    async freeze(ms) {
      process.kill(server.pid, 'SIGSTOP')
      try {
        await wait(ms)
      } finally {
        process.kill(server.pid, 'SIGCONT')
      }
    },
    stop: () => server.stop(),
  }
}
