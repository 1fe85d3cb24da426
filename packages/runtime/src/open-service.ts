import { laneCount, laneOf } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from './bus.ts'
import { type CallShare, createCallShare } from './call-share.ts'
import { type KeptClock, showSkew } from './clock.ts'
import { type Consumer, startConsumer } from './consumer.ts'
import { type Database, openDatabase } from './db.ts'
import { describe } from './errors.ts'
import { openIdentity, type Guards } from './identity/open-identity.ts'
import { proveOutside } from './identity/outside.ts'
import { forgetStatement } from './identity/projection.ts'
import { createIdempotency, type Idempotency } from './idempotency.ts'
import { releaseForgotten } from './held-jobs.ts'
import { forgetIdempotencyKeys } from './idempotency-tables.ts'
import { jobInserter } from './job-insert.ts'
import { type JobRunner, startJobs } from './jobs.ts'
import type { Logger } from './log.ts'
import type { ObjectStore } from './object-store.ts'
import { patiently } from './patiently.ts'
import type { ProcessConfig } from './process-config.ts'
import { type Relay, startRelay } from './relay.ts'
import { relayRole, roleOf, schemaOf } from './schema.ts'
import { observe } from './telemetry.ts'
import { auditEvents, type Authenticate, type OpenContext, type Service, type ServiceDatabase } from './types.ts'
import { Unit } from './unit.ts'

type AnyService = Service<never, never, never>

/** One service, open: its connections, its loops, and how to end them. */
export interface Opened {
  service: AnyService
  app: unknown
  context: OpenContext<never, unknown>
  /** Who calls this service, as its own tables say. */
  authenticate: Authenticate
  /** Of the connections that this service's calls have. */
  share: CallShare
  database: Database<never>
  serviceDatabase: ServiceDatabase<never>
  idempotency: Idempotency
  relay: Relay
  consumer: Consumer
  jobs: JobRunner
  log: Logger
  /** Closes the app and the connections; the loops must have ended. */
  close(): Promise<void>
}

interface Shared {
  config: ProcessConfig
  bus: Bus
  log: Logger
  replicaId: string
  objects: ObjectStore | undefined
  guards: Guards
  clock: KeptClock
  databaseUrl(role: string): string
}

/** Opens a service on its own schema and role, and starts its jobs, lanes and relay. */
export async function openService(service: AnyService, settings: unknown, shared: Shared): Promise<Opened> {
  const { config, bus, clock, databaseUrl } = shared
  const schema = schemaOf(service.name)
  const log = shared.log.child({ service: service.name })
  const pool = {
    schema,
    log,
    url: databaseUrl(roleOf(service.name)),
    applicationName: `parley-${service.name}`,
    maxConnections: config.DATABASE_POOL,
  }
  const database = openDatabase<never>(pool)
  const system = openDatabase<never>({
    ...pool,
    url: databaseUrl(relayRole),
    applicationName: `parley-system-${service.name}`,
    maxConnections: 1,
  })
  await patiently('the database', log, () => database.query('select 1'))
  await patiently('the clock of the database', log, () => clock.keepBy(system))

  let consumer: Consumer | undefined
  let relay: Relay | undefined
  let jobRunner: JobRunner | undefined
  // News of other replicas may come before the loops are there; they look for themselves when they start.
  const news = createNews(service, bus, clock.now, () => ({
    relay,
    jobs: jobRunner,
    alone: consumer?.held().length === laneCount,
  }))
  // Made here, because a service may commit while it opens, before its jobs run.
  const inserter = jobInserter(service.name, service.jobs)
  const idempotency = createIdempotency({ database, log })
  const serviceDatabase: ServiceDatabase<never> = {
    read: (organizationId, work) => database.read(organizationId, (session) => work(session.tx)),
    async commit(origin, work) {
      const unit = new Unit(service.name, clock.now)
      const correlationId = origin.correlationId ?? randomUUIDv7()
      const result = await database.transaction(origin.organizationId, async (session) => {
        idempotency.mark(session, origin.organizationId, origin.call?.requestId)
        const value = await work(
          session.tx,
          unit.tools({
            organizationId: origin.organizationId,
            correlationId,
            causationId: origin.causationId,
            call: origin.call,
          }),
        )
        unit.flush(session, inserter)
        return value
      })
      news.committed(unit)
      return result
    },
    onCommit: news.onCommit,
    transaction: (organizationId, work) => database.transaction(organizationId, work),
    wake: () => news.tell(true, new Map()),
  }
  // Before the lanes are there, nothing has been heard.
  const hearing = {
    ago: (lane: number) => consumer?.hearing.ago(lane) ?? Number.POSITIVE_INFINITY,
    look: async () => consumer?.hearing.look(),
  }
  const identity = openIdentity({ serviceName: service.name, guards: shared.guards, database, hearing, bus, log, now: clock.now })
  const stopAnswers: (() => void)[] = []
  const context: OpenContext<never, unknown> = {
    config: settings,
    log,
    database: serviceDatabase,
    objects: shared.objects,
    ask: bus.ask,
    answer: (topic, question, reply) => void stopAnswers.push(bus.answer(topic, question, reply)),
    eraseEvents: (organizationId, keys) => eraseEvents(service, { database, bus }, organizationId, keys),
    proveOutside: proveOutside(shared.guards.outside, clock.now),
    now: () => new Date(clock.now()),
  }
  const app: unknown = await service.open(context as never)

  const loops = { serviceName: service.name, database, app, log, onCommitted: news.committed, now: clock.now }
  const jobs = await startJobs({ ...loops, jobs: service.jobs as never, pollMs: config.POLL_MS })
  jobRunner = jobs
  consumer = startConsumer({
    ...loops,
    replicaId: shared.replicaId,
    handlers: [...service.handlers, ...identity.handlers] as never,
    vital: identity.handlers.map((handler) => handler.name),
    gatherMs: service.gatherMs,
    system,
    bus,
    inserter: jobs.inserter,
  })
  relay = startRelay({
    serviceName: service.name,
    schema,
    url: databaseUrl(relayRole),
    database,
    bus,
    log,
    pollMs: config.POLL_MS,
  })

  const ends = [
    ...stopAnswers,
    news.stop,
    showSkew(clock, service.name),
    startUpkeep(service.name, database, system, log),
    observe('parley.database.connections', 'Connections of the pool by state.', () =>
      Object.entries(database.gauges()).map(([state, value]) => ({ value, attributes: { service: service.name, state } })),
    ),
  ]
  return {
    service,
    app,
    context,
    authenticate: identity.authenticate,
    share: createCallShare(config.DATABASE_POOL),
    database,
    serviceDatabase,
    idempotency,
    relay,
    consumer,
    jobs,
    log,
    async close() {
      for (const end of ends) end()
      await service.close?.(app as never)
      await database.close()
      await system.close()
    },
  }
}

/** Tells whoever waits for a service's commits: its relay, its jobs, its streams; here at once, in other replicas by a poke. */
function createNews(
  service: AnyService,
  bus: Bus,
  now: () => number,
  loops: () => { relay: Relay | undefined; jobs: JobRunner | undefined; alone: boolean },
) {
  const listeners = new Set<() => void>()
  let listenersDue: NodeJS.Timeout | undefined
  let pokeDue: NodeJS.Timeout | undefined

  function tellListeners(): void {
    if (listeners.size === 0) return
    listenersDue ??= setTimeout(() => {
      listenersDue = undefined
      for (const listener of listeners) listener()
    }, 5)
  }

  /** `queues`: jobs asked for, with the milliseconds until the earliest is due. */
  function tell(events: boolean, queues: ReadonlyMap<string, number>): void {
    const { relay, jobs, alone } = loops()
    if (events) {
      relay?.wake()
      tellListeners()
    }
    for (const [queue, delayMs] of queues) jobs?.wake(queue, delayMs)
    // A replica that holds every lane has nobody to tell.
    if (alone) return
    pokeDue ??= setTimeout(() => {
      pokeDue = undefined
      bus.poke(`${service.name}.news`)
    }, 2)
  }

  const stopHearing = bus.onPoke(`${service.name}.news`, () => {
    const { relay, jobs } = loops()
    relay?.wake()
    for (const job of service.jobs) jobs?.wake(job.name)
    tellListeners()
  })

  return {
    tell,
    committed(unit: Unit): void {
      const queues = new Map<string, number>()
      for (const job of unit.jobs) {
        const delayMs = job.options.startAfter ? Math.max(0, job.options.startAfter.getTime() - now()) : 0
        queues.set(job.queue, Math.min(queues.get(job.queue) ?? delayMs, delayMs))
      }
      if (unit.rows.length > 0 || queues.size > 0) tell(unit.rows.length > 0, queues)
    },
    onCommit(listener: () => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop(): void {
      clearTimeout(listenersDue)
      clearTimeout(pokeDue)
      stopHearing()
    },
  }
}

/**
 * The stream first, the outbox after: a crash between the two leaves rows that a second run finds again. Each service erases the
 * types it states; purging a subject would leave the bytes on disk (reliability.md, finding 9), so events go one by one.
 */
async function eraseEvents(
  service: AnyService,
  stores: { database: Database<never>; bus: Bus },
  organizationId: string,
  keys: readonly string[],
): Promise<{ outbox: number; stream: number }> {
  // The audit log names who was erased by id, and says nothing of theirs: taken away here, it might never reach the log.
  const kept = auditEvents.map((event) => event.type)
  const types = [...new Set(service.states.map((event) => event.type))].filter((type) => !kept.includes(type))
  let stream = 0
  for (const key of keys) stream += await stores.bus.eraseKey(laneOf(organizationId, key), types, organizationId, key)
  const rows = await stores.database.transaction(organizationId, (session) =>
    session.query(
      `delete from outbox where organization_id = $1 and key = any($2::text[]) and type <> all($3::text[]) returning 1`,
      [organizationId, keys, kept],
    ),
  )
  return { outbox: rows.length, stream }
}

const upkeepMs = 3_600_000
const outboxDays = 7
/** Longer than the stream (72 h) and the outbox can bring an event back. */
const handledDays = 30
const chunk = 5_000

/**
 * Once at start and every hour: outbox partitions for the days to come, and what is past its time away, in short transactions. What
 * fails keeps nothing else from being done.
 */
function startUpkeep(serviceName: string, database: Database<never>, system: Database<never>, log: Logger): () => void {
  const forgetHandled = `delete from handled where ctid = any(array(
    select ctid from handled where handled_at < now() - $2 * interval '1 day' limit $1)) returning 1`
  const steps: Record<string, () => Promise<unknown>> = {
    'partitions of the outbox': () => database.query('select maintain_outbox($1)', [outboxDays]),
    'ended sessions': () => database.query(forgetStatement),
    'idempotency keys': () => deleteAll(database, forgetIdempotencyKeys, [chunk]),
    'handled events': () => deleteAll(database, forgetHandled, [chunk, handledDays]),
    'held jobs': () => releaseForgotten(serviceName, system, database, log),
  }
  const keep = async () => {
    for (const [what, step] of Object.entries(steps)) {
      await step().catch((error: unknown) => {
        log.warn({ err: describe(error), what }, 'a part of the upkeep failed; it is tried again in an hour')
      })
    }
  }
  void keep()
  const timer = setInterval(() => void keep(), upkeepMs)
  return () => clearInterval(timer)
}

/** Runs a delete of at most `chunk` rows until it finds fewer. */
async function deleteAll(database: Database<never>, statement: string, values: unknown[]): Promise<void> {
  for (let gone = chunk; gone === chunk; ) gone = (await database.query(statement, values)).length
}
