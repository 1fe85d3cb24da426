import type { FastifyInstance } from 'fastify'
import { randomUUIDv7 } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { authenticator, StoredKey } from './auth.ts'
import { type Bus, openBus } from './bus.ts'
import { flag, number, readConfig } from './config.ts'
import { type Database, openDatabase } from './db.ts'
import { describe } from './errors.ts'
import { addRoute, errorBody, openDoor } from './http.ts'
import { type JobRunner, startJobs } from './jobs.ts'
import { type Consumer, startConsumer } from './consumer.ts'
import { type Logger, openLog } from './log.ts'
import { opsRoutes } from './ops.ts'
import { startRelay, type Relay } from './relay.ts'
import { relayRole, roleOf, schemaOf } from './schema.ts'
import { observe, openTelemetry, type Telemetry } from './telemetry.ts'
import type { CommitFn, OpenContext, ReadFn, Route, Service, ServiceDatabase } from './types.ts'
import { Unit } from './unit.ts'

type AnyService = Service<never, never, never>

/** What every process reads from the environment, whatever services it runs. */
export const ProcessConfig = z.object({
  NATS_URL: z.string().min(1),
  NATS_REPLICAS: number(1, { min: 1, max: 5 }),
  NATS_MAX_BYTES: number(10 * 1024 ** 3, { min: 1024 ** 2 }),
  /** First token of every subject; only tests change it. */
  BUS_ROOT: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,30}$/)
    .default('evt'),
  HOST: z.string().default('0.0.0.0'),
  PORT: number(8080, { max: 65_535 }),
  /** Metrics and health; never on the public address. */
  ADMIN_HOST: z.string().default('127.0.0.1'),
  ADMIN_PORT: number(9090, { max: 65_535 }),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  DATABASE_POOL: number(12, { min: 2, max: 100 }),
  /** JSON list of stored API keys (see StoredKey): hashes, never keys. */
  PARLEY_API_KEYS: z
    .string()
    .default('[]')
    .transform((text, context) => {
      try {
        return z.array(StoredKey).parse(JSON.parse(text))
      } catch {
        context.addIssue({ code: 'custom', message: 'must be a JSON list of { keyId, organizationId, hash, scopes }' })
        return z.NEVER
      }
    }),
  /** Comma-separated CIDR blocks of proxies in front. */
  TRUST_PROXY: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
  REQUESTS_PER_MINUTE: number(600_000, { min: 1 }),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().url().optional(),
  OTEL_TRACES_SAMPLER_ARG: number(1, { min: 0, max: 1 }),
  /** How long the safety-net polls wait; wakes make them rarely matter. */
  POLL_MS: number(1_000, { min: 20, max: 60_000 }),
  SHUTDOWN_GRACE_MS: number(25_000, { min: 100 }),
  LOG_PRETTY: flag(false),
})
export type ProcessConfig = z.infer<typeof ProcessConfig>

export interface RunningService {
  name: string
  app: unknown
  relay: Relay
  consumer: Consumer
  jobs: JobRunner
  database: ServiceDatabase<never>
}

export interface Running {
  /** Where the door listens. */
  url: string
  adminUrl: string
  services: RunningService[]
  routes: Route<never, never>[]
  bus: Bus
  /** Nothing is under way and nothing is due, in any service of this process. */
  idle(): Promise<boolean>
  /** Polls `idle` until it holds twice in a row. Rejects after `deadlineMs` with what was still busy. */
  settle(deadlineMs?: number): Promise<void>
  stop(): Promise<void>
}

export interface StartOptions {
  services: readonly AnyService[]
  environment: Record<string, string | undefined>
  /** Connection string of a role, of a service or of the relay. */
  databaseUrl(role: string): string
  log?: Logger
  telemetry?: Telemetry
  replicaId?: string
  /** More of the door, before it listens (documentation, static files). */
  extend?(door: FastifyInstance, services: RunningService[]): Promise<void>
}

/** Starts services in this process, each on its own schema and role. Rejects when the configuration is wrong, with all its problems. */
export async function start(options: StartOptions): Promise<Running> {
  const config = readConfig(ProcessConfig, options.environment)
  // Every service's own settings too, before anything is opened.
  const settings = new Map(
    options.services.map((service) => [service.name, readConfig(service.config as z.ZodType<unknown>, options.environment)]),
  )
  const processName = options.services.length === 1 ? (options.services[0]?.name ?? 'parley') : 'parley'
  const log = options.log ?? openLog({ name: processName, level: config.LOG_LEVEL })
  const telemetry =
    options.telemetry ??
    openTelemetry({
      serviceName: processName,
      otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      sampleRatio: config.OTEL_TRACES_SAMPLER_ARG,
    })
  const replicaId = options.replicaId ?? randomUUIDv7()
  const health = { ready: false, stopping: false }
  const admin = await openAdmin(config, telemetry, () => readiness())
  const closers: (() => Promise<void>)[] = [() => closeServer(admin)]

  async function readiness(): Promise<{ ready: boolean; checks: Record<string, boolean> }> {
    const checks: Record<string, boolean> = {
      started: health.ready,
      accepting: !health.stopping,
      broker: bus?.connected() ?? false,
    }
    for (const entry of opened) checks[`database.${entry.service.name}`] = await answers(entry.database)
    // Webhooks are taken while the broker is away (reliability.md D1): readiness does not depend on it.
    const { broker: _broker, ...needed } = checks
    return { ready: Object.values(needed).every(Boolean), checks }
  }

  let bus: Bus | undefined
  const opened: Opened[] = []
  try {
    bus = await patiently('the broker', log, () =>
      openBus({
        url: config.NATS_URL,
        name: processName,
        root: config.BUS_ROOT,
        replicas: config.NATS_REPLICAS,
        maxBytes: config.NATS_MAX_BYTES,
        log,
      }),
    )
    const brokerBus = bus
    await patiently('the event stream', log, () => brokerBus.ensureStream())
    const door = await openDoor({ log, trustProxy: config.TRUST_PROXY, requestsPerMinute: config.REQUESTS_PER_MINUTE })
    const authenticate = authenticator(config.PARLEY_API_KEYS)
    door.get('/healthz', async () => ({ status: 'ok' }))
    door.get('/readyz', async (_request, reply) => {
      const state = await readiness()
      return reply
        .code(state.ready ? 200 : 503)
        .send(
          state.ready
            ? { status: 'ready', checks: state.checks }
            : { ...errorBody('unavailable', 'Not ready.'), checks: state.checks },
        )
    })
    const routes: Route<never, never>[] = []
    for (const service of options.services) {
      const entry = await openService(service, settings.get(service.name), { config, options, bus: brokerBus, log, replicaId })
      opened.push(entry)
      for (const route of [...service.routes, ...opsRoutes(service.name)]) {
        const isOps = !service.routes.includes(route)
        addRoute(door, route, {
          serviceName: service.name,
          app: isOps ? { bus: brokerBus, retryNow: () => entry.consumer.retryNow() } : entry.app,
          log: entry.log,
          authenticate,
          read: (organizationId) =>
            ((work) => entry.database.transaction(organizationId, (session) => work(session.tx))) as ReadFn<never>,
          commit: (organizationId, correlationId) =>
            ((work) => entry.serviceDatabase.commit({ organizationId, correlationId }, work)) as CommitFn<never>,
        })
        routes.push(route)
      }
      await door.register(async (scope) => {
        await service.plugin?.(scope, entry.app as never, { ...entry.context, authenticate } as never)
      })
    }
    const running: RunningService[] = opened.map((entry) => ({
      name: entry.service.name,
      app: entry.app,
      relay: entry.relay,
      consumer: entry.consumer,
      jobs: entry.jobs,
      database: entry.serviceDatabase,
    }))
    await options.extend?.(door, running)
    const url = await door.listen({ host: config.HOST, port: config.PORT })
    health.ready = true
    log.info({ url, services: opened.map((entry) => entry.service.name) }, 'ready')

    let stopped: Promise<void> | undefined
    const stop = async () => {
      health.stopping = true
      // reliability.md D20, in this order: no new calls; events end and lanes are given back; jobs end; what they stated is published.
      await door.close()
      await Promise.all(opened.map((entry) => entry.consumer.stop()))
      await Promise.all(opened.map((entry) => entry.jobs.stop(config.SHUTDOWN_GRACE_MS)))
      await Promise.all(opened.map((entry) => flushed(entry.relay)))
      await closeOpened(opened)
      await brokerBus.close()
      for (const close of closers) await close()
    }
    const isIdle = async () => {
      for (const entry of opened) {
        if (!(await entry.relay.idle()) || !(await entry.consumer.idle()) || !(await entry.jobs.idle())) return false
      }
      return true
    }
    return {
      url: `http://${config.HOST === '0.0.0.0' ? '127.0.0.1' : config.HOST}:${(door.server.address() as AddressInfo).port}`,
      adminUrl: `http://${config.ADMIN_HOST}:${(admin.address() as AddressInfo).port}`,
      services: running,
      routes,
      bus: brokerBus,
      idle: isIdle,
      async settle(deadlineMs = 20_000) {
        const deadline = performance.now() + deadlineMs
        for (let calm = 0; calm < 2; ) {
          calm = (await isIdle()) ? calm + 1 : 0
          if (performance.now() > deadline) throw new Error(`Not settled after ${deadlineMs} ms: ${await busyParts(opened)}`)
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      },
      stop: () => (stopped ??= stop()),
    }
  } catch (error) {
    await closeOpened(opened)
    await bus?.close()
    for (const close of closers) await close()
    throw error
  }
}

interface Opened {
  service: AnyService
  app: unknown
  context: OpenContext<never, unknown>
  database: Database<never>
  system: Database<never>
  serviceDatabase: ServiceDatabase<never>
  relay: Relay
  consumer: Consumer
  jobs: JobRunner
  log: Logger
  closers: (() => void)[]
}

async function openService(
  service: AnyService,
  settings: unknown,
  shared: { config: ProcessConfig; options: StartOptions; bus: Bus; log: Logger; replicaId: string },
): Promise<Opened> {
  const { config, bus, options } = shared
  const schema = schemaOf(service.name)
  const log = shared.log.child({ service: service.name })
  const database = openDatabase<never>({
    url: options.databaseUrl(roleOf(service.name)),
    schema,
    applicationName: `parley-${service.name}`,
    maxConnections: config.DATABASE_POOL,
    log,
  })
  const system = openDatabase<never>({
    url: options.databaseUrl(relayRole),
    schema,
    applicationName: `parley-system-${service.name}`,
    maxConnections: 1,
    log,
  })
  await patiently('the database', log, () => database.query('select 1'))
  const listeners = new Set<() => void>()
  const closers: (() => void)[] = []

  const serviceDatabase: ServiceDatabase<never> = {
    read: (organizationId, work) => database.transaction(organizationId, (session) => work(session.tx)),
    async commit(origin, work) {
      const unit = new Unit(service.name)
      const result = await database.transaction(origin.organizationId, async (session) => {
        const value = await work(
          session.tx,
          unit.tools({
            organizationId: origin.organizationId,
            correlationId: origin.correlationId ?? randomUUIDv7(),
            causationId: origin.causationId,
          }),
        )
        await unit.flush(session, jobs.inserter)
        return value
      })
      onCommitted(unit)
      return result
    },
    onCommit(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    transaction: (organizationId, work) => database.transaction(organizationId, work),
    wake: () => newsOf(true, new Map()),
  }
  const context: OpenContext<never, unknown> = { config: settings, log, database: serviceDatabase, now: () => new Date() }
  const app: unknown = await service.open(context as never)

  let relay: Relay | undefined
  let consumer: Consumer | undefined
  let poking: NodeJS.Timeout | undefined
  let told: NodeJS.Timeout | undefined

  /** Wakes whoever waits for this service's commits: here at once, in other replicas by a poke, at most every few milliseconds. */
  function newsOf(events: boolean, queues: Map<string, number>): void {
    if (events) relay?.wake()
    for (const [queue, delayMs] of queues) jobs.wake(queue, delayMs)
    if (events && listeners.size > 0) {
      told ??= setTimeout(() => {
        told = undefined
        for (const listener of listeners) listener()
      }, 5)
    }
    // A replica that holds every lane has nobody to tell.
    if ((consumer?.held().length ?? 0) === 16) return
    poking ??= setTimeout(() => {
      poking = undefined
      bus.poke(`${service.name}.news`)
    }, 2)
  }
  function onCommitted(unit: Unit): void {
    const queues = new Map<string, number>()
    for (const job of unit.jobs) {
      const delayMs = job.options.startAfter ? Math.max(0, job.options.startAfter.getTime() - Date.now()) : 0
      queues.set(job.queue, Math.min(queues.get(job.queue) ?? delayMs, delayMs))
    }
    if (unit.rows.length > 0 || queues.size > 0) newsOf(unit.rows.length > 0, queues)
  }

  const jobs: JobRunner = await startJobs({
    serviceName: service.name,
    jobs: service.jobs as never,
    database,
    app,
    log,
    onCommitted,
    pollMs: config.POLL_MS,
  })
  consumer = startConsumer({
    serviceName: service.name,
    replicaId: shared.replicaId,
    handlers: service.handlers as never,
    database,
    system,
    bus,
    app,
    inserter: jobs.inserter,
    log,
    onCommitted,
  })
  relay = startRelay({ serviceName: service.name, schema, url: options.databaseUrl(relayRole), bus, log, pollMs: config.POLL_MS })
  closers.push(
    bus.onPoke(`${service.name}.news`, () => {
      relay?.wake()
      for (const job of service.jobs) jobs.wake(job.name)
      for (const listener of listeners) listener()
    }),
    observe('parley.database.connections', 'Connections of the pool by state.', () => {
      const gauges = database.gauges()
      return Object.entries(gauges).map(([state, value]) => ({ value, attributes: { service: service.name, state } }))
    }),
    startUpkeep(database, log),
  )
  return { service, app, context, database, system, serviceDatabase, relay, consumer, jobs, log, closers }
}

/** Once at start and every hour: partitions for the days to come, old events, receipts of handling and settled dead letters away. */
function startUpkeep(database: Database<never>, log: Logger): () => void {
  const keep = async () => {
    try {
      await database.query('select maintain_outbox(7)')
      for (let gone = 5_000; gone === 5_000; ) {
        // Longer than the stream (72 h) and the outbox (7 days) can bring an event back.
        const rows = await database.query(
          `delete from handled where ctid = any(array(select ctid from handled where handled_at < now() - interval '30 days' limit 5000)) returning 1`,
        )
        gone = rows.length
      }
    } catch (error) {
      log.warn({ err: describe(error) }, 'upkeep did not finish; it is tried again in an hour')
    }
  }
  void keep()
  const timer = setInterval(() => void keep(), 3_600_000)
  return () => clearInterval(timer)
}

async function flushed(relay: Relay): Promise<void> {
  const deadline = performance.now() + 5_000
  while (relay.leads() && !(await relay.idle()) && performance.now() < deadline) {
    relay.wake()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await relay.stop()
}

async function closeOpened(opened: Opened[]): Promise<void> {
  for (const entry of opened) {
    for (const close of entry.closers) close()
    await entry.service.close?.(entry.app as never)
    await entry.database.close()
    await entry.system.close()
  }
}

async function busyParts(opened: Opened[]): Promise<string> {
  const parts: string[] = []
  for (const entry of opened) {
    if (!(await entry.relay.idle())) parts.push(`${entry.service.name} outbox`)
    if (!(await entry.consumer.idle())) parts.push(`${entry.service.name} lanes`)
    if (!(await entry.jobs.idle())) parts.push(`${entry.service.name} jobs`)
  }
  return parts.join(', ') || 'nothing any more'
}

async function answers(database: Database<never>): Promise<boolean> {
  try {
    await database.query('select 1')
    return true
  } catch {
    // That it does not answer is the answer.
    return false
  }
}

/** Tries until it works: the order in which broker, database and services come up is nobody's duty (reliability.md F43). */
async function patiently<T>(what: string, log: Logger, open: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await open()
    } catch (error) {
      const { message, code } = describe(error)
      // A wrong password or a server that is too old will not mend itself.
      if (/too old|password authentication|Authorization Violation/i.test(message) || code === '28P01' || code === '28000')
        throw error
      if (tries >= 120) throw error
      if (tries % 10 === 0) log.warn({ err: describe(error) }, `waiting for ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

async function openAdmin(
  config: ProcessConfig,
  telemetry: Telemetry,
  readiness: () => Promise<{ ready: boolean; checks: Record<string, boolean> }>,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET') response.writeHead(405).end()
    else if (request.url === '/metrics') telemetry.scrape(request, response)
    else if (request.url === '/healthz') response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}')
    else if (request.url === '/readyz') {
      void readiness().then((state) =>
        response.writeHead(state.ready ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(state)),
      )
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.ADMIN_PORT, config.ADMIN_HOST, resolve)
  })
  return server
}

const closeServer = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
