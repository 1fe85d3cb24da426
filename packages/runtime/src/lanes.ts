import { ContractError, type Event, findEvent, fromEnvelope, laneCount, laneOf } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import type { Bus, LaneMessage, LaneReader } from './bus.ts'
import { crashPoint } from './crash.ts'
import type { Database, Session } from './db.ts'
import { nextTry, parkEvent } from './dead-letters.ts'
import { classify, describe } from './errors.ts'
import type { Logger } from './log.ts'
import { inSpan, meters, observe, SpanKind } from './telemetry.ts'
import type { Handler } from './types.ts'
import { Unit } from './unit.ts'
import type { JobInserter } from './jobs.ts'

/** One event on its way through a lane. */
interface Item {
  lane: HeldLane
  sequence: number
  envelope: string
  event: Event | undefined
  problem: Error | undefined
}

interface HeldLane {
  lane: number
  epoch: string
  position: number
  buffer: LaneMessage[]
  reader: LaneReader
  busy: boolean
  releasing: boolean
}

export interface Consumer {
  /** Lanes held by this replica. */
  held(): number[]
  /** Everything that the stream holds for this service's held lanes has been handled, and nothing is put aside for another try. */
  idle(): Promise<boolean>
  /** Tries what was put aside now rather than at its time (tests, `parley dead redrive`). */
  retryNow(): void
  stop(): Promise<void>
}

export interface ConsumerOptions {
  serviceName: string
  replicaId: string
  handlers: readonly Handler<never, never, never>[]
  database: Database<never>
  /** As the relay role: sees what is parked in every organization. */
  system: Database<never>
  bus: Bus
  app: unknown
  inserter: JobInserter
  log: Logger
  onCommitted(unit: Unit): void
}

const largestGroup = 64
const groupsAtOnce = 2
const bufferPerLane = 256
const leaseSeconds = 4
const tickMs = 750

class LanesLost extends Error {
  override name = 'LanesLost'
}

/**
 * Hears a service's events. Lanes are leased to replicas in the service's schema; a holder commits many events of its lanes in one
 * transaction together with the lanes' new positions, guarded by the lease's epoch, so a replica that lost a lane (paused, cut off)
 * writes nothing. A group that throws is rolled back and run event by event; what still throws is put aside with its key, so that
 * the lane goes on and that key stays in order (reliability.md D12, F26).
 */
export function startConsumer(options: ConsumerOptions): Consumer {
  const { serviceName, replicaId, database, bus, log } = options
  const byType = new Map<string, Handler<never, never, never>[]>()
  for (const handler of options.handlers) {
    const id = `${handler.event.type}/${handler.event.version}`
    byType.set(id, [...(byType.get(id) ?? []), handler])
  }
  const types = [...new Set(options.handlers.map((handler) => handler.event.type))]
  const held = new Map<number, HeldLane>()
  /** Keys that have something put aside: `handler|organization|key`. The lane's holder is the only one who adds to them. */
  const parked = new Set<string>()
  let stopping = false
  let groups = 0
  let outageUntil = 0
  const parkedId = (handler: string, event: { organizationId: string; key: string }) => `${handler}|${event.organizationId}|${event.key}`

  const stopGauges = [
    observe('parley.lanes.held', 'Lanes held by this replica.', () => [{ value: held.size, attributes: { service: serviceName } }]),
    observe('parley.lanes.lag', 'Events of held lanes that wait for this service.', () =>
      [...held.values()].map((lane) => ({ value: lane.reader.pending() + lane.buffer.length, attributes: { service: serviceName, lane: String(lane.lane) } })),
    ),
    observe('parley.lanes.parked_keys', 'Keys with an event put aside for a later try.', () => [{ value: parked.size, attributes: { service: serviceName } }]),
  ]

  // --- leases ---

  async function tick(): Promise<void> {
    await database.query(`insert into replicas (id) values ($1) on conflict (id) do update set seen_at = now()`, [replicaId])
    const renewed = await database.query<{ lane: number; epoch: string }>(
      `update lane_leases set expires_at = now() + $2 * interval '1 second' where holder = $1 returning lane, epoch`,
      [replicaId, leaseSeconds],
    )
    const mine = new Map(renewed.map((row) => [row.lane, row.epoch]))
    for (const lane of held.values()) if (mine.get(lane.lane) !== lane.epoch) await drop(lane)
    const alive = await database.query<{ replicas: number }>(
      `select count(*)::int as replicas from replicas where seen_at > now() - $1 * interval '1 second'`,
      [leaseSeconds],
    )
    const share = Math.ceil(laneCount / Math.max(1, alive[0]?.replicas ?? 1))
    const surplus = [...held.values()].filter((lane) => !lane.releasing).slice(share)
    for (const lane of surplus) void release(lane)
    if (held.size < share && surplus.length === 0) await acquire(share - held.size)
  }

  async function acquire(wanted: number): Promise<void> {
    const created = await bus.ensureStream()
    const taken = await database.query<{ lane: number; epoch: string; position: string }>(
      `update lane_leases l
       set holder = $1, epoch = epoch + 1, expires_at = now() + $2 * interval '1 second', stream_created = $4,
         position = case when stream_created = $4 then position else 0 end
       where lane in (select lane from lane_leases where holder is null or holder = $1 or expires_at < now() order by lane limit $3 for update skip locked)
         and not lane = any($5::smallint[])
       returning lane, epoch, position`,
      [replicaId, leaseSeconds, wanted + held.size, created, [...held.keys()]],
    )
    if (taken.length === 0) return
    await rememberParked(taken.map((row) => row.lane))
    for (const row of taken) {
      if (held.size >= laneCount || held.has(row.lane)) continue
      const lane: HeldLane = {
        lane: row.lane,
        epoch: row.epoch,
        position: Number(row.position),
        buffer: [],
        busy: false,
        releasing: false,
        reader: bus.readLane({
          name: `${serviceName}-${row.lane}-e${row.epoch}`,
          lane: row.lane,
          types,
          position: Number(row.position),
          onMessage(message) {
            lane.buffer.push(message)
            schedule()
          },
          full: () => lane.buffer.length >= bufferPerLane || lane.releasing || stopping,
        }),
      }
      held.set(row.lane, lane)
    }
    log.debug({ lanes: taken.map((row) => row.lane) }, 'lanes taken')
  }

  /** Forgets a lane that another replica has, or may have. */
  async function drop(lane: HeldLane): Promise<void> {
    if (held.get(lane.lane) === lane) held.delete(lane.lane)
    lane.releasing = true
    await lane.reader.stop()
  }

  /** Gives a lane up in good order: its group ends, the lease is cleared, the others are told. */
  async function release(lane: HeldLane): Promise<void> {
    lane.releasing = true
    lane.buffer.length = 0
    while (lane.busy) await new Promise((resolve) => setTimeout(resolve, 5))
    await drop(lane)
    try {
      await database.query(`update lane_leases set holder = null, expires_at = now() where lane = $1 and holder = $2 and epoch = $3`, [lane.lane, replicaId, lane.epoch])
      bus.poke(`${serviceName}.lanes`)
    } catch (error) {
      log.info({ err: describe(error), lane: lane.lane }, 'a lane could not be given back; its lease will lapse')
    }
  }

  let ticking: Promise<void> | undefined
  let lastTickOk = performance.now()
  const tickNow = () => {
    if (stopping) return
    ticking ??= tick()
      .then(() => {
        lastTickOk = performance.now()
      })
      .catch(async (error: unknown) => {
        log.warn({ err: describe(error) }, 'lane leases could not be renewed')
        // Past the lease's own end somebody else may hold the lanes: stop reading them (the epoch would refuse us anyway).
        if (performance.now() - lastTickOk > leaseSeconds * 1000) for (const lane of held.values()) await drop(lane)
      })
      .finally(() => {
        ticking = undefined
      })
  }
  const ticker = setInterval(tickNow, tickMs)
  const stopPoke = bus.onPoke(`${serviceName}.lanes`, tickNow)
  tickNow()

  // --- groups ---

  function schedule(): void {
    if (stopping || performance.now() < outageUntil) return
    while (groups < groupsAtOnce) {
      const items: Item[] = []
      for (const lane of held.values()) {
        if (lane.busy || lane.releasing || lane.buffer.length === 0) continue
        lane.busy = true
        for (const message of lane.buffer.splice(0, largestGroup - items.length)) items.push(readItem(lane, message))
        lane.reader.resume()
        if (items.length >= largestGroup) break
      }
      if (items.length === 0) return
      groups++
      void runGroup(items).finally(() => {
        groups--
        for (const lane of new Set(items.map((item) => item.lane))) lane.busy = false
        schedule()
      })
    }
  }

  const decoder = new TextDecoder('utf-8', { fatal: true })
  function readItem(lane: HeldLane, message: LaneMessage): Item {
    try {
      const envelope = decoder.decode(message.data)
      const event = fromEnvelope(JSON.parse(envelope))
      // The bus is not trusted: what claims to be of one organization or key must have come on its subject (A31).
      if (laneOf(event.organizationId, event.key) !== lane.lane) throw new ContractError(`${event.type} came on a lane that is not its own.`)
      return { lane, sequence: message.sequence, envelope, event, problem: undefined }
    } catch (error) {
      return { lane, sequence: message.sequence, envelope: Buffer.from(message.data).toString(), event: undefined, problem: error as Error }
    }
  }

  async function runGroup(items: Item[]): Promise<void> {
    crashPoint('consumer.after_fetch')
    try {
      await commitItems(items)
    } catch (error) {
      if (error instanceof LanesLost) return
      if (classify(error) === 'outage') return outage(items, error)
      for (const lane of new Set(items.map((item) => item.lane))) await oneByOne(items.filter((item) => item.lane === lane))
    }
  }

  async function oneByOne(items: Item[]): Promise<void> {
    for (const [index, item] of items.entries()) {
      const handlers = item.event ? handlersOf(item.event) : []
      try {
        if (handlers.length === 0) await commitItems([item])
        for (const handler of handlers) await oneHandler(item, handler)
      } catch (error) {
        if (error instanceof LanesLost) return
        return outage(items.slice(index), error)
      }
    }
  }

  /** Throws only LanesLost and what is our own infrastructure's fault; the handler's own failure puts the event aside. */
  async function oneHandler(item: Item, handler: Handler<never, never, never>): Promise<void> {
    try {
      await commitItems([item], handler)
    } catch (error) {
      if (error instanceof LanesLost || classify(error) === 'outage') throw error
      await setAside(item, handler, error)
    }
  }

  /** Our own infrastructure is away: nothing is counted against the events, they wait where they are. */
  function outage(items: Item[], error: unknown): void {
    log.warn({ err: describe(error) }, 'events wait: the database is away')
    outageUntil = performance.now() + 500
    for (const lane of new Set(items.map((item) => item.lane))) {
      const own = items.filter((item) => item.lane === lane && item.sequence > lane.position)
      lane.buffer.unshift(...own.map((item) => ({ sequence: item.sequence, subject: '', data: Buffer.from(item.envelope) })))
    }
    setTimeout(schedule, 550)
  }

  async function commitItems(items: Item[], only?: Handler<never, never, never>): Promise<void> {
    const started = performance.now()
    const unit = new Unit(serviceName)
    const outcomes: { handler: string; outcome: string }[] = []
    await database.transaction(null, async (session) => {
      const fresh = await claim(session, items, only)
      crashPoint('consumer.after_inbox')
      for (const organization of organizationsOf(items)) {
        await session.useOrganization(organization)
        const from = { rows: unit.rows.length, jobs: unit.jobs.length }
        for (const item of items) {
          if (item.event?.organizationId !== organization) continue
          for (const handler of only ? [only] : handlersOf(item.event)) {
            const outcome = fresh.has(`${item.event.id}|${handler.name}`) ? await runHandler(session, unit, item, item.event, handler) : 'duplicate'
            outcomes.push({ handler: handler.name, outcome })
          }
        }
        await unit.flush(session, options.inserter, from)
      }
      for (const item of items) if (item.problem) await recordPoison(session, item, item.problem)
      await movePositions(session, items)
      crashPoint('consumer.before_commit')
    })
    crashPoint('consumer.after_commit')
    for (const item of items) item.lane.position = Math.max(item.lane.position, item.sequence)
    for (const { handler, outcome } of outcomes) meters.handled().add(1, { service: serviceName, handler, outcome })
    meters.handling().record((performance.now() - started) / 1000, { service: serviceName })
    options.onCommitted(unit)
  }

  /**
   * A message that is no event of ours. A version we do not know is a newer sender's, beside the one we understand: skipped. Anything
   * else is kept as a dead letter of the organization it names; one that names none can only be logged.
   */
  async function recordPoison(session: Session<never>, item: Item, problem: Error): Promise<void> {
    const wire = looseEnvelope(item.envelope)
    if (wire.type !== undefined && wire.version !== undefined && types.includes(wire.type) && !findEvent(wire.type, wire.version)) return
    log.error({ err: describe(problem), lane: item.lane.lane, sequence: item.sequence, type: wire.type }, 'a message on the bus is no event')
    meters.deadLetters().add(1, { service: serviceName, handler: 'contract' })
    if (wire.organizationId === undefined) return
    await session.useOrganization(wire.organizationId)
    await session.query(
      `insert into dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, payload, state, error_class, error, attempts)
       values ($1, $2, 'event', 'contract', $3, $4, $5, $6, $7, 'dead', 'permanent', $8, 1)`,
      [randomUUIDv7(), wire.organizationId, item.lane.lane, wire.key ?? '', wire.id ?? '', wire.type ?? '', JSON.stringify({ message: item.envelope }), problem.message.slice(0, 2_000)],
    )
  }

  const handlersOf = (event: Event) => byType.get(`${event.type}/${event.version}`) ?? []
  const organizationsOf = (items: Item[]) => new Set(items.flatMap((item) => (item.event ? [item.event.organizationId] : [])))

  /** Marks (handler, event) as handled; answers those to be run: the new ones, and those whose key is parked (they join it). */
  async function claim(session: Session<never>, items: Item[], only: Handler<never, never, never> | undefined): Promise<Set<string>> {
    const toRun = new Set<string>()
    const ids: string[] = []
    const names: string[] = []
    for (const { event } of items) {
      if (!event) continue
      for (const handler of only ? [only] : handlersOf(event)) {
        if (parked.has(parkedId(handler.name, event))) toRun.add(`${event.id}|${handler.name}`)
        else {
          ids.push(event.id)
          names.push(handler.name)
        }
      }
    }
    if (ids.length === 0) return toRun
    const claimed = await session.query<{ event_id: string; handler: string }>(
      `insert into handled (event_id, handler) select * from unnest($1::uuid[], $2::text[]) on conflict do nothing returning event_id, handler`,
      [ids, names],
    )
    for (const row of claimed) toRun.add(`${row.event_id}|${row.handler}`)
    return toRun
  }

  async function runHandler(session: Session<never>, unit: Unit, item: Item, event: Event, handler: Handler<never, never, never>): Promise<string> {
    if (parked.has(parkedId(handler.name, event))) {
      await parkEvent(session, { handler: handler.name, event, envelope: item.envelope, lane: item.lane.lane, state: 'waiting', error: undefined, errorClass: undefined, attempts: 0, delayMs: 0 })
      return 'parked'
    }
    await invoke(session, unit, event, handler)
    return 'done'
  }

  async function invoke(session: Session<never>, unit: Unit, event: Event, handler: Handler<never, never, never>): Promise<void> {
    await inSpan(`handle ${handler.name}`, { kind: SpanKind.CONSUMER, parent: event.traceparent, attributes: { 'parley.event.type': event.type, 'parley.event.id': event.id } }, () =>
      handler.run({
        event: event as never,
        app: options.app as never,
        tx: session.tx,
        ...unit.tools({ organizationId: event.organizationId, correlationId: event.correlationId, causationId: event.id }),
      }),
    )
  }

  async function movePositions(session: Session<never>, items: Item[]): Promise<void> {
    const last = new Map<HeldLane, number>()
    for (const item of items) last.set(item.lane, item.sequence)
    const lanes = [...last.keys()]
    const moved = await session.query(
      `update lane_leases l set position = v.position
       from unnest($1::smallint[], $2::bigint[], $3::bigint[]) as v (lane, epoch, position)
       where l.lane = v.lane and l.epoch = v.epoch and l.holder = $4 returning l.lane`,
      [lanes.map((lane) => lane.lane), lanes.map((lane) => lane.epoch), [...last.values()], replicaId],
    )
    if (moved.length !== lanes.length) {
      for (const lane of lanes) void drop(lane)
      throw new LanesLost('A lane of this group belongs to another replica now.')
    }
  }

  // --- what was put aside ---

  async function setAside(item: Item, handler: Handler<never, never, never>, error: unknown): Promise<void> {
    const { event } = item
    if (!event) throw error
    const errorClass = classify(error)
    const next = nextTry(errorClass, 1)
    await database.transaction(event.organizationId, async (session) => {
      await parkEvent(session, {
        handler: handler.name,
        event,
        envelope: item.envelope,
        lane: item.lane.lane,
        state: next.dead ? 'dead' : 'retrying',
        error: describe(error),
        errorClass,
        attempts: 1,
        delayMs: next.dead ? 0 : next.delayMs,
      })
      await movePositions(session, [item])
    })
    item.lane.position = Math.max(item.lane.position, item.sequence)
    meters.handled().add(1, { service: serviceName, handler: handler.name, outcome: next.dead ? 'dead' : 'parked' })
    const about = { err: error, eventId: event.id, type: event.type, errorClass }
    if (next.dead) {
      meters.deadLetters().add(1, { service: serviceName, handler: handler.name })
      log.error(about, 'an event was given up')
    } else {
      parked.add(parkedId(handler.name, event))
      log[errorClass === 'retry' ? 'warn' : 'error'](about, 'an event is put aside and tried again')
      setTimeout(() => void retryParked(), next.delayMs + 10).unref()
    }
  }

  async function rememberParked(lanes: number[]): Promise<void> {
    const rows = await options.system.query<{ handler: string; organization_id: string; key: string }>(
      `select distinct handler, organization_id, key from dead_letters where state in ('retrying', 'waiting') and lane = any($1::smallint[])`,
      [lanes],
    )
    for (const row of rows) parked.add(parkedId(row.handler, { organizationId: row.organization_id, key: row.key }))
  }

  interface Due {
    id: string
    organization_id: string
    handler: string
    key: string
    lane: number
    envelope: string
    attempts: number
  }

  let retrying: Promise<void> | undefined
  let early = false
  function retryParked(): Promise<void> {
    retrying ??= tryParked().finally(() => {
      retrying = undefined
    })
    return retrying
  }

  async function tryParked(): Promise<void> {
    const everything = early
    early = false
    const due = await options.system.query<Due>(
      `select id, organization_id, handler, key, lane, payload::text as envelope, attempts from dead_letters
       where state = 'retrying' and kind = 'event' and lane = any($1::smallint[]) and (next_at <= now() or $2) order by id limit 50`,
      [[...held.keys()], everything],
    )
    for (const row of due) if (!stopping && held.has(row.lane)) await tryOne(row)
    if (due.length === 50) setImmediate(() => void retryParked())
  }

  async function tryOne(row: Due): Promise<void> {
    const handler = options.handlers.find((candidate) => candidate.name === row.handler)
    const lane = held.get(row.lane)
    if (!lane) return
    const unit = new Unit(serviceName)
    let promoted = false
    try {
      if (!handler) throw new Error(`There is no handler '${row.handler}' any more.`)
      const event = fromEnvelope(JSON.parse(row.envelope))
      await database.transaction(row.organization_id, async (session) => {
        await fence(session, lane)
        const first = await session.query(`insert into handled (event_id, handler) values ($1, $2) on conflict do nothing returning 1`, [event.id, handler.name])
        if (first.length > 0) await invoke(session, unit, event, handler)
        await session.query(`update dead_letters set state = 'recovered', last_at = now(), attempts = attempts + 1, next_at = null where organization_id = $1 and id = $2`, [row.organization_id, row.id])
        promoted = await promote(session, row)
        await unit.flush(session, options.inserter)
      })
      meters.handled().add(1, { service: serviceName, handler: row.handler, outcome: 'recovered' })
    } catch (error) {
      if (error instanceof LanesLost) return
      const errorClass = classify(error)
      if (errorClass === 'outage') return
      const attempts = row.attempts + 1
      const next = nextTry(errorClass, attempts)
      const what = describe(error)
      await database.transaction(row.organization_id, async (session) => {
        await fence(session, lane)
        await session.query(
          `update dead_letters set state = $3, last_at = now(), attempts = $4, error_class = $5, error = $6, next_at = now() + $7 * interval '1 ms'
           where organization_id = $1 and id = $2`,
          [row.organization_id, row.id, next.dead ? 'dead' : 'retrying', attempts, errorClass, `${what.name}: ${what.message}`.slice(0, 2_000), next.dead ? 0 : next.delayMs],
        )
        promoted = next.dead ? await promote(session, row) : true
      })
      if (next.dead) {
        meters.deadLetters().add(1, { service: serviceName, handler: row.handler })
        log.error({ err: error, handler: row.handler, deadLetterId: row.id }, 'an event was given up')
      } else setTimeout(() => void retryParked(), next.delayMs + 10).unref()
    }
    if (!promoted) parked.delete(parkedId(row.handler, { organizationId: row.organization_id, key: row.key }))
    else setImmediate(() => void retryParked())
    options.onCommitted(unit)
  }

  /** The next event of the key becomes due; answers whether there was one. */
  async function promote(session: Session<never>, row: Due): Promise<boolean> {
    const next = await session.query(
      `update dead_letters set state = 'retrying', next_at = now() where organization_id = $1 and id = (
         select id from dead_letters where organization_id = $1 and handler = $2 and key = $3 and state = 'waiting' order by id limit 1) returning 1`,
      [row.organization_id, row.handler, row.key],
    )
    return next.length > 0
  }

  async function fence(session: Session<never>, lane: HeldLane): Promise<void> {
    const own = await session.query(`select 1 from lane_leases where lane = $1 and holder = $2 and epoch = $3 for update`, [lane.lane, replicaId, lane.epoch])
    if (own.length === 0) throw new LanesLost('The lane belongs to another replica now.')
  }

  const sweeper = setInterval(() => {
    retryParked().catch((error: unknown) => log.warn({ err: describe(error) }, 'put-aside events could not be tried'))
  }, 1_000)

  return {
    held: () => [...held.keys()],
    retryNow() {
      early = true
      void retryParked()
    },
    async idle() {
      if (groups > 0 || parked.size > 0) return false
      for (const lane of held.values()) if (lane.busy || lane.buffer.length > 0 || lane.reader.pending() > 0) return false
      return held.size > 0
    },
    async stop() {
      stopping = true
      clearInterval(ticker)
      clearInterval(sweeper)
      stopPoke()
      await ticking
      await retrying?.catch(() => {})
      await Promise.all([...held.values()].map((lane) => release(lane)))
      while (groups > 0) await new Promise((resolve) => setTimeout(resolve, 5))
      await database.query(`delete from replicas where id = $1`, [replicaId]).catch((error: unknown) => {
        log.info({ err: describe(error) }, 'this replica could not sign off; it will be missed in a few seconds')
      })
      bus.poke(`${serviceName}.lanes`)
      for (const stopGauge of stopGauges) stopGauge()
    },
  }
}

/** A name for this process among the replicas of its services. */
export const newReplicaId = () => randomUUIDv7()

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What can be read of a message that broke its contract. */
function looseEnvelope(text: string): { id?: string; type?: string; version?: number; organizationId?: string; key?: string } {
  let wire: Record<string, unknown> | null
  try {
    wire = JSON.parse(text) as Record<string, unknown> | null
  } catch {
    return {}
  }
  if (typeof wire !== 'object' || wire === null) return {}
  const word = (field: string) => (typeof wire[field] === 'string' ? { [field]: wire[field].slice(0, 200).replaceAll('\0', '') } : {})
  const { id, type, subject } = { ...word('id'), ...word('type'), ...word('subject') } as Record<string, string | undefined>
  return {
    ...(id === undefined ? {} : { id }),
    ...(type === undefined ? {} : { type }),
    ...(subject === undefined ? {} : { key: subject }),
    ...(typeof wire['dataversion'] === 'number' ? { version: wire['dataversion'] } : {}),
    ...(typeof wire['organizationid'] === 'string' && uuid.test(wire['organizationid']) ? { organizationId: wire['organizationid'] } : {}),
  }
}
