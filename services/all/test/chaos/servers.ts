import { type Nats, type Postgres, startNats, startPostgres } from '@parley/embedded'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** A database server that can be killed and comes back on the same data and port. */
export interface DatabaseServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** `fast` disconnects everybody and writes a checkpoint; `kill` is a crash: the next start recovers from the log. */
  restart(how: 'fast' | 'kill'): Promise<void>
  stop(): Promise<void>
}

/** A broker that can be killed and comes back on the same store and port. */
export interface BrokerServer {
  readonly url: string
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
    stop: () => server.stop(),
  }
}

export async function openBroker(folder: string): Promise<BrokerServer> {
  const storeFolder = join(folder, 'nats')
  const store = join(storeFolder, 'jetstream')
  const remembered = join(folder, 'nats-remembered')
  mkdirSync(storeFolder, { recursive: true })
  let server: Nats = await startNats({ storeFolder })
  const { url, port } = server
  return {
    url,
    port,
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
      server = await startNats({ storeFolder, port })
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
