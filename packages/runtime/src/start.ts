import { randomUUIDv7 } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import { closeServer, openAdmin } from './admin.ts'
import { type Bus, openBus } from './bus.ts'
import { createClock, type KeptClock } from './clock.ts'
import { loginOf } from './bus-login.ts'
import { closableDoor } from './close-door.ts'
import { readConfig } from './config.ts'
import type { Consumer } from './consumer.ts'
import type { Database } from './db.ts'
import { createReadAudit } from './audit-reads.ts'
import { addRoute, errorBody, openDoor } from './http.ts'
import type { JobRunner } from './jobs.ts'
import { type Guards, openGuards } from './identity/open-identity.ts'
import { type Logger, openLog } from './log.ts'
import { type Opened, openService } from './open-service.ts'
import { openObjectStore } from './object-store.ts'
import { opsRoutes } from './ops.ts'
import { patiently } from './patiently.ts'
import { ProcessConfig } from './process-config.ts'
import type { Relay } from './relay.ts'
import { openTelemetry, type Telemetry } from './telemetry.ts'
import type { Call } from './unit.ts'
import type { CommitFn, ReadFn, Route, Service, ServiceDatabase } from './types.ts'

type AnyService = Service<never, never, never>

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
  const name = options.services.length === 1 ? (options.services[0]?.name ?? 'parley') : 'parley'
  const log = options.log ?? openLog({ name, level: config.LOG_LEVEL })
  const telemetry =
    options.telemetry ??
    openTelemetry({
      serviceName: name,
      otlpEndpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      sampleRatio: config.OTEL_TRACES_SAMPLER_ARG,
    })
  const clock = createClock(log)
  const state: State = { started: false, stopping: false, bus: undefined, guards: undefined, opened: [] }
  const { opened } = state
  const admin = await openAdmin(config, telemetry, () => readiness(state))
  try {
    const bus = await patiently('the broker', log, () =>
      openBus({
        login: loginOf(config, name),
        name,
        root: config.BUS_ROOT,
        replicas: config.NATS_REPLICAS,
        maxBytes: config.NATS_MAX_BYTES,
        log,
      }),
    )
    state.bus = bus
    await patiently('the event stream', log, () => bus.ensureStream())
    const door = await openDoor({ log, trustProxy: config.TRUST_PROXY, requestsPerMinute: config.REQUESTS_PER_MINUTE })
    const closeDoor = closableDoor(door)
    addHealth(door, state)
    const guards = openGuards(config, bus, log, clock.now)
    state.guards = guards
    const objects = config.OBJECT_STORE_URL === undefined ? undefined : await openObjectStore(config.OBJECT_STORE_URL)
    const replicaId = options.replicaId ?? randomUUIDv7()
    const routes: Route<never, never>[] = []
    for (const service of options.services) {
      const entry = await openService(service, settings.get(service.name), {
        config,
        bus,
        log,
        replicaId,
        objects,
        guards,
        clock,
        databaseUrl: options.databaseUrl,
      })
      opened.push(entry)
      routes.push(...(await addService(door, entry, bus, clock)))
    }
    const running = opened.map(runningOf)
    await options.extend?.(door, running)
    await door.listen({ host: config.HOST, port: config.PORT })
    state.started = true
    const url = `http://${config.HOST === '0.0.0.0' ? '127.0.0.1' : config.HOST}:${(door.server.address() as AddressInfo).port}`
    log.info({ door: url, services: running.map((service) => service.name) }, 'ready')

    let stopped: Promise<void> | undefined
    const stop = async () => {
      state.stopping = true
      // reliability.md D20, in this order: no new calls; events end and lanes are given back; jobs end; what they stated is published.
      await closeDoor(config.SHUTDOWN_GRACE_MS)
      await guards.uses.stop()
      await Promise.all(opened.map((entry) => entry.consumer.stop()))
      await Promise.all(opened.map((entry) => entry.jobs.stop(config.SHUTDOWN_GRACE_MS)))
      await Promise.all(opened.map((entry) => flushed(entry.relay)))
      await closeAll(opened)
      clock.stop()
      await bus.close()
      await closeServer(admin)
    }
    return {
      url,
      adminUrl: `http://${config.ADMIN_HOST}:${(admin.address() as AddressInfo).port}`,
      services: running,
      routes,
      bus,
      idle: async () => (await busyParts(opened)).length === 0,
      settle: (deadlineMs = 20_000) => settle(opened, deadlineMs),
      stop: () => (stopped ??= stop()),
    }
  } catch (error) {
    await closeAll(opened)
    clock.stop()
    await state.guards?.uses.stop()
    await state.bus?.close()
    await closeServer(admin)
    throw error
  }
}

interface State {
  started: boolean
  stopping: boolean
  bus: Bus | undefined
  guards: Guards | undefined
  opened: Opened[]
}

const runningOf = (entry: Opened): RunningService => ({
  name: entry.service.name,
  app: entry.app,
  relay: entry.relay,
  consumer: entry.consumer,
  jobs: entry.jobs,
  database: entry.serviceDatabase,
})

/** Puts a service's routes and plugin, and the operator's routes for it, on the door. */
async function addService(door: FastifyInstance, entry: Opened, bus: Bus, clock: KeptClock): Promise<Route<never, never>[]> {
  const { service, authenticate } = entry
  const recordRead = createReadAudit(service.name, {
    transaction: entry.serviceDatabase.transaction,
    // Only the relay: live streams listen to commits too, and have nothing to tell of somebody reading.
    wake: () => entry.relay.wake(),
    log: entry.log,
    now: clock.now,
  })
  const host = {
    recordRead,
    serviceName: service.name,
    app: entry.app,
    log: entry.log,
    idempotency: entry.idempotency,
    authenticate,
    share: entry.share,
    read: (organizationId: string) => ((work) => entry.serviceDatabase.read(organizationId, work)) as ReadFn<never>,
    commit: (organizationId: string, call: Call) =>
      ((work) => entry.serviceDatabase.commit({ organizationId, correlationId: call.requestId, call }, work)) as CommitFn<never>,
  }
  const ops = opsRoutes(service.name)
  for (const route of service.routes) addRoute(door, route, host)
  for (const route of ops)
    addRoute(door, route, {
      ...host,
      app: { bus, laneGivenUp: () => bus.poke(`${entry.service.name}.lanes`), retryNow: () => entry.consumer.retryNow() },
    })
  await door.register(async (scope) => {
    await service.plugin?.(scope, entry.app as never, { ...entry.context, authenticate, recordRead } as never)
  })
  return [...service.routes, ...ops]
}

function addHealth(door: FastifyInstance, state: State): void {
  door.get('/healthz', async () => ({ status: 'ok' }))
  door.get('/readyz', async (_request, reply) => {
    const { ready, checks } = await readiness(state)
    return reply
      .code(ready ? 200 : 503)
      .send(ready ? { status: 'ready', checks } : { ...errorBody('unavailable', 'Not ready.'), checks })
  })
}

/** Webhooks are taken while the broker is away (reliability.md D1): it is shown, but readiness does not depend on it. */
async function readiness(state: State): Promise<{ ready: boolean; checks: Record<string, boolean> }> {
  const needed: Record<string, boolean> = { started: state.started, accepting: !state.stopping }
  for (const entry of state.opened) needed[`database.${entry.service.name}`] = await answers(entry.database)
  return { ready: Object.values(needed).every(Boolean), checks: { ...needed, broker: state.bus?.connected() ?? false } }
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

async function settle(opened: Opened[], deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs
  for (let calm = 0; calm < 2; ) {
    const busy = await busyParts(opened)
    calm = busy.length === 0 ? calm + 1 : 0
    if (performance.now() > deadline)
      throw new Error(`Not settled after ${deadlineMs} ms: ${busy.join(', ') || 'nothing any more'}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function busyParts(opened: Opened[]): Promise<string[]> {
  const parts: string[] = []
  for (const { service, relay, consumer, jobs } of opened) {
    if (!(await relay.idle())) parts.push(`${service.name} outbox`)
    if (!(await consumer.idle())) parts.push(`${service.name} lanes`)
    if (!(await jobs.idle())) parts.push(`${service.name} jobs`)
  }
  return parts
}

/** What was committed in the last moments is published before the relay ends, if it leads and the broker is there. */
async function flushed(relay: Relay): Promise<void> {
  const deadline = performance.now() + 5_000
  while (relay.leads() && !(await relay.idle()) && performance.now() < deadline) {
    relay.wake()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await relay.stop()
}

async function closeAll(opened: Opened[]): Promise<void> {
  for (const entry of opened) await entry.close()
}
