import { startInfrastructure } from '@parley/embedded'
import { migrate, relayRole, roleOf, type Service } from '@parley/runtime'
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { connect } from '@nats-io/transport-node'
import { startWorker, type Worker } from './worker.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const password = 'parley-bench'

/** A database of its own for one side of one round, so that nobody inherits another's bloat. */
interface BenchDatabase {
  /** Superuser's connection string. */
  adminUrl: string
  /** Dropped without waiting for those who are still connected. */
  drop(): Promise<void>
}

/** What a benchmark has to work with. */
export interface Stage {
  quick: boolean
  rounds: number
  natsUrl: string
  versions: { postgres: string; nats: string }
  log(line: string): void
  /** Creates a database, migrated for these services. */
  database(services?: readonly unknown[]): Promise<BenchDatabase>
  /** Starts a file as a process; it is stopped with the stage at the latest. `name` names its CPU profile when one is wanted. */
  worker(file: URL, settings: unknown, name?: string): Promise<Worker>
  /** Calling it twice is harmless. */
  close(): Promise<void>
}

export interface StageOptions {
  quick: boolean
  /** Folder for CPU profiles of named workers. */
  profiles: string | undefined
  log(line: string): void
}

/** Connection string of a service's or the relay's role on a benchmark's database. */
export function roleUrl(adminUrl: string, role: string): string {
  const url = new URL(adminUrl)
  url.username = role
  url.password = password
  return url.toString()
}

/** First token of every subject and name of the stream of one side of one round. */
export const freshRoot = () => `b${randomBytes(6).toString('hex')}`

/** Starts Postgres and NATS in a fresh folder of the project (or uses the given ones, see @parley/embedded). */
export async function openStage(options: StageOptions): Promise<Stage> {
  const folder = join(root, '.parley', `bench-${process.pid}`)
  const infrastructure = await startInfrastructure({ folder })
  const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const admin = new pg.Pool({ connectionString: infrastructure.postgresUrl, max: 2 })
  admin.on('error', () => undefined) // A given server may close an idle connection; the pool makes another.
  const workers = new Set<Worker>()
  const postgres = (await admin.query<{ server_version: string }>('show server_version')).rows[0]?.server_version ?? 'unknown'

  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    await Promise.all([...workers].map((worker) => worker.stop()))
    await admin.end()
    await infrastructure.stop()
    removeFolder()
  }

  return {
    quick: options.quick,
    rounds: options.quick ? 1 : 3,
    natsUrl: infrastructure.natsUrl,
    versions: { postgres, nats: await natsVersion(infrastructure.natsUrl) },
    log: options.log,
    async database(list = []) {
      const services = list as readonly Service<never, never, never>[]
      const name = `parley_bench_${randomBytes(6).toString('hex')}`
      await admin.query(`create database ${name}`)
      const url = new URL(infrastructure.postgresUrl)
      url.pathname = `/${name}`
      const adminUrl = url.toString()
      const roles = [relayRole, ...services.map((service) => roleOf(service.name))]
      if (services.length > 0)
        await migrate({ adminUrl, services, passwords: Object.fromEntries(roles.map((role) => [role, password])) })
      return {
        adminUrl,
        drop: async () => void (await admin.query(`drop database if exists ${name} with (force)`)),
      }
    },
    async worker(file, settings, name) {
      const execArgv =
        options.profiles !== undefined && name !== undefined
          ? ['--cpu-prof', `--cpu-prof-dir=${options.profiles}`, `--cpu-prof-name=${name}-${Date.now()}.cpuprofile`]
          : []
      const worker = await startWorker(file, settings, { execArgv })
      const entry: Worker = {
        ...worker,
        async stop() {
          workers.delete(entry)
          await worker.stop()
        },
      }
      workers.add(entry)
      return entry
    },
    close: () => (closing ??= close()),
  }
}

async function natsVersion(url: string): Promise<string> {
  const nc = await connect({ servers: url, name: 'bench-version' })
  const version = nc.info?.version ?? 'unknown'
  await nc.close()
  return version
}
