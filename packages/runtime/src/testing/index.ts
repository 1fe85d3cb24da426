import type { Event, EventType } from '@parley/contracts'
import { fromEnvelope } from '@parley/contracts'
import { createHash, randomBytes, randomUUIDv7 } from 'node:crypto'
import pg from 'pg'
import { createKey } from '../auth.ts'
import { openLog } from '../log.ts'
import { migrate, migrationsOf, relayRole, roleOf, schemaOf } from '../schema.ts'
import { start, type Running } from '../start.ts'
import type { Service } from '../types.ts'
import { assertNamed } from './named-refusals.ts'

export { plansOf } from './plans.ts'
export { startTcpProxy, type ProxyMode, type TcpProxy } from './tcp-proxy.ts'

type AnyService = Service<never, never, never>
/** Whatever its App, tables and configuration are. */
type AnyServiceOf = { name: string; migrations: AnyService['migrations'] }

/** What a call answered; `body` is checked by the test that reads it. */
export interface Answer {
  status: number
  headers: Headers
  // The shape is what the test asserts: unknown would only move a cast into each of them.
  body: ReturnType<typeof JSON.parse>
}

/** Services over a database and a stream of their own on real Postgres and NATS, for one test file. */
export interface World {
  organizationId: string
  /** A second organization, with canaries to look for. */
  otherOrganizationId: string
  key: string
  otherKey: string
  /** The replica started first. */
  readonly running: Running
  /** Environment of its processes, to start real ones beside it. */
  environment: Record<string, string>
  databaseUrl(role: string): string
  adminUrl: string
  /** SQL as the superuser, past row-level security: for assertions only. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** Everything a service stated, in commit order. */
  events(serviceName: string, type?: string): Promise<Event[]>
  /** States an event as if `serviceName` had. */
  state<Data>(
    serviceName: string,
    type: EventType<Data>,
    data: Data,
    options?: { organizationId?: string; correlationId?: string },
  ): Promise<void>
  call(
    method: string,
    path: string,
    options?: { body?: unknown; key?: string | null; headers?: Record<string, string> },
  ): Promise<Answer>
  settle(deadlineMs?: number): Promise<void>
  startReplica(): Promise<Running>
  /** Stops the first replica and starts it again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface WorldOptions {
  services: readonly AnyServiceOf[]
  postgresUrl: string
  natsUrl: string
  environment?: Record<string, string>
  /** Start without running services: for tests that start processes themselves. */
  idle?: boolean
}

const password = 'parley-test'

/** Creates a database from a migrated template (tens of milliseconds) and starts the services on it. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const services = options.services as unknown as readonly AnyService[]
  const root = new pg.Pool({ connectionString: options.postgresUrl, max: 2 })
  const template = await templateFor(root, options.postgresUrl, services)
  const database = `parley_t_${randomBytes(6).toString('hex')}`
  await root.query(`create database ${database} template ${template}`)
  const adminUrl = withPath(options.postgresUrl, database)
  const admin = new pg.Pool({ connectionString: adminUrl, max: 2 })
  admin.on('error', () => {})
  const organizationId = randomUUIDv7()
  const otherOrganizationId = randomUUIDv7()
  const mine = createKey(organizationId, ['*'])
  const others = createKey(otherOrganizationId, ['*'])
  const busRoot = `t${randomBytes(6).toString('hex')}`
  const environment: Record<string, string> = {
    NATS_URL: options.natsUrl,
    BUS_ROOT: busRoot,
    NATS_MAX_BYTES: String(256 * 1024 ** 2),
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    PARLEY_API_KEYS: JSON.stringify([mine.stored, others.stored]),
    PARLEY_SECRET_KEY: randomBytes(32).toString('base64'),
    POLL_MS: '200',
    DATABASE_POOL: '6',
    ...options.environment,
  }
  const databaseUrl = (role: string) => {
    const url = new URL(adminUrl)
    url.username = role
    url.password = password
    return url.toString()
  }
  const log = openLog({ name: 'test', level: environment['LOG_LEVEL'] ?? 'silent' })
  const launch = () => start({ services, environment, databaseUrl, log })
  let running = options.idle ? undefined : await launch()
  const replicas: Running[] = []
  const first = () => {
    if (!running) throw new Error('This world was started without running services.')
    return running
  }

  return {
    organizationId,
    otherOrganizationId,
    key: mine.key,
    otherKey: others.key,
    get running() {
      return first()
    },
    environment,
    databaseUrl,
    adminUrl,
    sql: async (text, values = []) => (await admin.query(text, values)).rows,
    async events(serviceName, type) {
      const rows = await admin.query<{ envelope: unknown }>(
        `select envelope from ${schemaOf(serviceName)}.outbox where $1::text is null or type = $1 order by xid, seq`,
        [type ?? null],
      )
      return rows.rows.map((row) => fromEnvelope(row.envelope))
    },
    async state(serviceName, type, data, more = {}) {
      const service = first().services.find((entry) => entry.name === serviceName)
      if (!service) throw new Error(`No service '${serviceName}' runs in this world.`)
      await service.database.commit(
        {
          organizationId: more.organizationId ?? organizationId,
          ...(more.correlationId === undefined ? {} : { correlationId: more.correlationId }),
        },
        async (_tx, tools) => tools.emit(type, data),
      )
    },
    async call(method, path, more = {}) {
      const key = more.key === undefined ? mine.key : more.key
      const response = await fetch(first().url + path, {
        method,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...more.headers,
        },
        ...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }),
      })
      const text = await response.text()
      const answer: Answer = {
        status: response.status,
        headers: response.headers,
        body: text === '' ? undefined : JSON.parse(text),
      }
      assertNamed(first().routes, method, path, response.ok ? undefined : answer.body?.error?.code)
      return answer
    },
    async settle(deadlineMs) {
      await first().settle(deadlineMs)
    },
    async startReplica() {
      const replica = await launch()
      replicas.push(replica)
      return replica
    },
    async restart() {
      await first().stop()
      running = await launch()
    },
    async stop() {
      await Promise.all(replicas.map((replica) => replica.stop()))
      await running?.stop()
      await admin.end()
      await root.query(`drop database if exists ${database} with (force)`)
      await root.end()
    },
  }
}

/** The migrated template database for these services, made once per set of migrations. */
async function templateFor(root: pg.Pool, postgresUrl: string, services: readonly AnyService[]): Promise<string> {
  const shape = services.map((service) => [
    service.name,
    migrationsOf(service),
    service.jobs.map((job) => [job.name, job.settings]),
  ])
  const name = `parley_template_${createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 12)}`
  const client = await root.connect()
  try {
    await client.query(`select pg_advisory_lock(hashtext('parley.template'))`)
    const ready = await client.query(`select 1 from pg_database where datname = $1 and datistemplate`, [name])
    if (ready.rowCount === 0) {
      await client.query(`drop database if exists ${name}`)
      await client.query(`create database ${name}`)
      const passwords = Object.fromEntries(
        [relayRole, ...services.map((service) => roleOf(service.name))].map((role) => [role, password]),
      )
      await migrate({ adminUrl: withPath(postgresUrl, name), services, passwords })
      await client.query(`alter database ${name} is_template true`)
    }
  } finally {
    await client.query(`select pg_advisory_unlock(hashtext('parley.template'))`)
    client.release()
  }
  return name
}

function withPath(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.toString()
}
