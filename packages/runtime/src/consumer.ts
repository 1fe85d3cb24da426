import type { Bus } from './bus.ts'
import { crashPoint } from './crash.ts'
import type { Database, Session } from './db.ts'
import { parkEvent, recordPoison } from './dead-letters.ts'
import { classify, describe, isOurTrouble } from './errors.ts'
import { type Hearing, startHearing } from './lane-hearing.ts'
import type { JobInserter } from './job-insert.ts'
import { type HeldLane, LanesLost, startLeases } from './leases.ts'
import { type LaneItem, readItem } from './lane-item.ts'
import type { Logger } from './log.ts'
import { startParked } from './parked.ts'
import { nextTry } from './dead-letters.ts'
import { inSpan, meters, observe, SpanKind } from './telemetry.ts'
import type { Handler } from './types.ts'
import { Unit } from './unit.ts'
import type { Event } from '@parley/contracts'

type AnyHandler = Handler<never, never, never>

export interface Consumer {
  /** Lanes held by this replica. */
  held(): number[]
  /** Everything that the stream holds for this service's held lanes has been handled, and nothing is put aside for another try. */
  idle(): Promise<boolean>
  /** How current what this service has heard is, lane by lane. */
  readonly hearing: Pick<Hearing, 'ago' | 'look'>
  /** Tries what was put aside now rather than at its time. */
  retryNow(): void
  stop(): Promise<void>
}

export interface ConsumerOptions {
  serviceName: string
  replicaId: string
  handlers: readonly AnyHandler[]
  database: Database<never>
  /** As the relay role: sees what is parked in every organization. */
  system: Database<never>
  bus: Bus
  app: unknown
  inserter: JobInserter
  /** Handlers whose events put aside keep a lane from counting as heard. */
  vital: readonly string[]
  /** See Service. */
  gatherMs: number
  log: Logger
  onCommitted(unit: Unit): void
  now(): number
}

const largestGroup = 64
/** Groups under way at once, each on lanes of its own: while one waits for Postgres, the others go on. */
const groupsAtOnce = 4
/** Lanes that one group takes at least: below that a transaction costs more than it shares. */
const lanesPerGroup = 4
const outagePauseMs = 500
/** Lanes whose next event met trouble of its own that run at once, each in a group of its own: it holds nobody else's up. */
const troubledAtOnce = 2
/** So long a lane waits for a lock or a slow statement; then the key waits aside, with nothing counted, and the others go on. */
const troublePatienceMs = 60_000

/**
 * Hears a service's events. Whatever waits in the held lanes, up to 64 events, is committed in one transaction together with the
 * lanes' new positions. A group that throws is rolled back and run event by event; an event that still throws is put aside with
 * its key, and the lane goes on. When our own infrastructure is away, nothing is counted and everything waits where it is; when
 * something of ours stands in the way of one event, its lane waits.
 */
export function startConsumer(options: ConsumerOptions): Consumer {
  const { serviceName, database, log } = options
  const byType = new Map<string, AnyHandler[]>()
  for (const handler of options.handlers) {
    const id = `${handler.event.type}/${handler.event.version}`
    byType.set(id, [...(byType.get(id) ?? []), handler])
  }
  const handlersOf = (event: Event) => byType.get(`${event.type}/${event.version}`) ?? []
  const types = [...new Set(options.handlers.map((handler) => handler.event.type))]
  let stopping = false
  let groups = 0
  let troubled = 0
  let outageUntil = 0
  /** Whoever lets events wait for each other handles them in one group. */
  const mostGroups = options.gatherMs > 0 ? 1 : groupsAtOnce
  let gathering: NodeJS.Timeout | undefined

  const parked = startParked({
    ...options,
    leases: () => leases,
    newUnit: () => new Unit(serviceName, options.now),
    invoke,
    exclusively,
    async flush(session, unit, organizationId) {
      await unit.share({ app: options.app, tx: session.tx, organizationId })
      unit.flush(session, options.inserter)
    },
  })
  const leases = startLeases({ ...options, types, parkedOf: parked.of, onMessage: gather })
  const hearing = startHearing({ ...options, held: leases.held })
  const stopGauges = gauges(serviceName, leases.held, parked.count)

  /** Starts groups, now or when what comes meanwhile has had its time to join them. */
  function gather(): void {
    if (options.gatherMs === 0 || waiting() >= largestGroup) return schedule()
    gathering ??= setTimeout(() => {
      gathering = undefined
      schedule()
    }, options.gatherMs)
  }

  const waiting = () => [...leases.held.values()].reduce((sum, lane) => sum + lane.buffer.length, 0)

  function schedule(): void {
    if (stopping || performance.now() < outageUntil) return
    for (const lane of leases.held.values()) {
      if (troubled >= troubledAtOnce) break
      if (lane.trouble === undefined || !isReady(lane) || performance.now() < lane.trouble.until) continue
      troubled++
      begin([lane], () => troubled--)
    }
    while (groups < mostGroups) {
      const ready = [...leases.held.values()].filter((lane) => lane.trouble === undefined && isReady(lane))
      if (ready.length === 0) return
      // Shared out, so that a full house keeps every group busy, and few events still share one transaction.
      groups++
      begin(ready.slice(0, Math.max(lanesPerGroup, Math.ceil(ready.length / (mostGroups - groups + 1)))), () => groups--)
    }
  }

  const isReady = (lane: HeldLane) => !lane.busy && !lane.reserved && !lane.releasing && lane.buffer.length > 0

  /** Handles what waits in these lanes, as much as one group takes. */
  function begin(lanes: readonly HeldLane[], ended: () => void): void {
    const items: LaneItem[] = []
    for (const lane of lanes) {
      if (items.length >= largestGroup) break
      lane.busy = true
      for (const message of lane.buffer.splice(0, largestGroup - items.length)) items.push(readItem(lane, message))
      lane.reader.resume()
    }
    void runGroup(items).finally(() => {
      ended()
      for (const lane of new Set(items.map((item) => item.lane))) lane.busy = false
      gather()
    })
  }

  /** Runs something between two groups of a lane. */
  async function exclusively(lane: HeldLane, work: () => Promise<void>): Promise<void> {
    lane.reserved = true
    while (lane.busy) await new Promise((resolve) => setTimeout(resolve, 2))
    lane.busy = true
    try {
      await work()
    } finally {
      lane.busy = false
      lane.reserved = false
      schedule()
    }
  }

  async function runGroup(items: LaneItem[]): Promise<void> {
    crashPoint('consumer.after_fetch')
    try {
      await commitItems(items)
    } catch (error) {
      if (error instanceof LanesLost) return
      if (classify(error) === 'outage') return waitOut(items, error)
      for (const lane of new Set(items.map((item) => item.lane))) await oneByOne(items.filter((item) => item.lane === lane))
    }
  }

  async function oneByOne(items: LaneItem[]): Promise<void> {
    for (const [index, item] of items.entries()) {
      const handlers = item.event ? handlersOf(item.event) : []
      try {
        if (handlers.length === 0) await commitItems([item])
        for (const handler of handlers) await oneHandler(item, handler, handler === handlers.at(-1))
      } catch (error) {
        if (error instanceof LanesLost) return
        if (classify(error) === 'outage') return waitOut(items.slice(index), error)
        return waitInLane(item.lane, items.slice(index), error)
      }
    }
  }

  /** Throws only LanesLost and what is our own trouble; the handler's own failure puts the event aside. */
  async function oneHandler(item: LaneItem, handler: AnyHandler, isLast: boolean): Promise<void> {
    try {
      await commitItems([item], handler, isLast)
    } catch (error) {
      if (error instanceof LanesLost) throw error
      if (isOurTrouble(classify(error)) && !isLongTroubled(item.lane, error)) throw error
      await setAside(item, handler, error, isLast)
    }
  }

  /** Where lanes stand after these items: past an event only when the last of its handlers has had it. */
  function positionsAfter(items: LaneItem[], isLast: boolean): Map<HeldLane, number> {
    return new Map(items.map(({ lane, message }) => [lane, isLast ? message.sequence : lane.position]))
  }

  function notePositions(items: LaneItem[], isLast: boolean): void {
    for (const [lane, position] of positionsAfter(items, isLast)) {
      lane.position = Math.max(lane.position, position)
      lane.trouble = undefined
    }
  }

  /** Something in the way of one event has been so for longer than everybody behind it can be asked to wait. */
  function isLongTroubled({ trouble }: HeldLane, error: unknown): boolean {
    return classify(error) === 'contention' && trouble !== undefined && performance.now() - trouble.since > troublePatienceMs
  }

  /** Puts events back in front of their lanes until the database answers again. */
  function waitOut(items: LaneItem[], error: unknown): void {
    log.warn({ err: describe(error) }, 'events wait: the database is away')
    outageUntil = performance.now() + outagePauseMs
    for (const lane of new Set(items.map((item) => item.lane))) putBack(lane, items)
    setTimeout(schedule, outagePauseMs + 50)
  }

  /** Puts a lane's events back in front of it, until what stood in the way of the first is gone; other lanes go on. */
  function waitInLane(lane: HeldLane, items: LaneItem[], error: unknown): void {
    log.warn({ err: describe(error), lane: lane.lane }, 'the events of a lane wait: something else holds what the first needs')
    const now = performance.now()
    lane.trouble = { since: lane.trouble?.since ?? now, until: now + outagePauseMs }
    putBack(lane, items)
    setTimeout(schedule, outagePauseMs + 10)
  }

  function putBack(lane: HeldLane, items: LaneItem[]): void {
    lane.buffer.unshift(
      ...items.filter((item) => item.lane === lane && item.message.sequence > lane.position).map((item) => item.message),
    )
  }

  /** One transaction for all items, or for one handler of one item. */
  async function commitItems(items: LaneItem[], only?: AnyHandler, isLast = true): Promise<void> {
    const started = performance.now()
    const unit = new Unit(serviceName, options.now)
    const outcomes: { handler: string; outcome: string }[] = []
    await database.transaction(null, async (session) => {
      const toRun = await claim(session, items, only)
      crashPoint('consumer.after_inbox')
      for (const organizationId of new Set(items.flatMap((item) => item.event?.organizationId ?? []))) {
        session.useOrganization(organizationId)
        const from = { rows: unit.rows.length, jobs: unit.jobs.length }
        for (const item of items) {
          if (item.event?.organizationId !== organizationId) continue
          for (const handler of only ? [only] : handlersOf(item.event)) {
            // Taken out as it is run: the stream may bring an event twice in one group (a replay beyond the broker's memory of ids).
            const outcome = toRun.delete(`${item.event.id}|${handler.name}`)
              ? await runHandler(session, unit, item, item.event, handler)
              : 'duplicate'
            outcomes.push({ handler: handler.name, outcome })
          }
        }
        await unit.share({ app: options.app, tx: session.tx, organizationId })
        unit.flush(session, options.inserter, from)
      }
      for (const item of items)
        if (item.problem)
          await recordPoison(session, { ...item, lane: item.lane.lane, problem: item.problem, types, log, serviceName })
      leases.movePositions(session, positionsAfter(items, isLast))
      crashPoint('consumer.before_commit')
    })
    crashPoint('consumer.after_commit')
    notePositions(items, isLast)
    for (const { handler, outcome } of outcomes) meters.handled().add(1, { service: serviceName, handler, outcome })
    meters.handling().record((performance.now() - started) / 1000, { service: serviceName })
    options.onCommitted(unit)
  }

  /** Marks (handler, event) as handled; answers those that are new. An event whose key is parked is among them: it joins it. */
  async function claim(session: Session<never>, items: LaneItem[], only: AnyHandler | undefined): Promise<Set<string>> {
    const ids: string[] = []
    const names: string[] = []
    const organizations: string[] = []
    for (const { event } of items) {
      if (!event) continue
      for (const handler of only ? [only] : handlersOf(event)) {
        ids.push(event.id)
        organizations.push(event.organizationId)
        names.push(handler.name)
      }
    }
    if (ids.length === 0) return new Set()
    const claimed = await session.query<{ event_id: string; handler: string }>(
      `insert into handled (event_id, handler, handled_for) select * from unnest($1::uuid[], $2::text[], $3::uuid[])
       on conflict do nothing returning event_id, handler`,
      [ids, names, organizations],
    )
    return new Set(claimed.map((row) => `${row.event_id}|${row.handler}`))
  }

  async function runHandler(
    session: Session<never>,
    unit: Unit,
    item: LaneItem,
    event: Event,
    handler: AnyHandler,
  ): Promise<string> {
    if (!parked.has(item.lane, handler.name, event)) {
      await invoke(session, unit, event, handler)
      return 'done'
    }
    await parkEvent(session, {
      handler: handler.name,
      event,
      envelope: item.envelope,
      lane: item.lane.lane,
      state: 'waiting',
      attempts: 0,
      delayMs: 0,
    })
    return 'parked'
  }

  async function invoke(session: Session<never>, unit: Unit, event: Event, handler: AnyHandler): Promise<void> {
    const origin = { organizationId: event.organizationId, correlationId: event.correlationId, causationId: event.id }
    await inSpan(
      `handle ${handler.name}`,
      {
        kind: SpanKind.CONSUMER,
        parent: event.traceparent,
        attributes: { 'parley.event.type': event.type, 'parley.event.id': event.id },
      },
      () =>
        handler.run({
          event: event as never,
          app: options.app as never,
          tx: session.tx,
          together: (work, item) => unit.leave(work, item),
          ...unit.tools(origin),
        }),
    )
  }

  async function setAside(item: LaneItem, handler: AnyHandler, error: unknown, isLast: boolean): Promise<void> {
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
        attempts: isOurTrouble(errorClass) ? 0 : 1,
        delayMs: next.dead ? 0 : next.delayMs,
      })
      leases.movePositions(session, positionsAfter([item], isLast))
    })
    notePositions([item], isLast)
    meters.handled().add(1, { service: serviceName, handler: handler.name, outcome: next.dead ? 'dead' : 'parked' })
    const about = { err: error, eventId: event.id, type: event.type, errorClass }
    if (next.dead) {
      meters.deadLetters().add(1, { service: serviceName, handler: handler.name })
      log.error(about, 'an event was given up')
    } else {
      parked.add(item.lane, handler.name, event, next.delayMs)
      log[errorClass === 'retry' ? 'warn' : 'error'](about, 'an event is put aside and tried again')
    }
  }

  return {
    held: () => [...leases.held.keys()],
    hearing,
    retryNow: () => parked.retryNow(),
    async idle() {
      if (groups + troubled > 0 || !parked.empty()) return false
      const lanes = [...leases.held.values()]
      if (lanes.some((lane) => lane.busy || lane.buffer.length > 0)) return false
      // What is published but not yet here would be missed by a look at our own buffers.
      const caughtUp = await Promise.all(lanes.map((lane) => lane.reader.caughtUp().catch(() => false)))
      if (!caughtUp.every(Boolean)) return false
      return lanes.every((lane) => !lane.busy && lane.buffer.length === 0) && (lanes.length > 0 || types.length === 0)
    },
    async stop() {
      stopping = true
      clearTimeout(gathering)
      await hearing.stop()
      await parked.stop()
      await leases.stop()
      while (groups + troubled > 0) await new Promise((resolve) => setTimeout(resolve, 5))
      for (const stopGauge of stopGauges) stopGauge()
    },
  }
}

function gauges(serviceName: string, held: ReadonlyMap<number, HeldLane>, parkedKeys: () => number): (() => void)[] {
  const attributes = { service: serviceName }
  return [
    observe('parley.lanes.held', 'Lanes held by this replica.', () => [{ value: held.size, attributes }]),
    observe('parley.lanes.lag', 'Events of held lanes that wait for this service.', () =>
      [...held.values()].map((lane) => ({
        value: lane.reader.pending() + lane.buffer.length,
        attributes: { ...attributes, lane: String(lane.lane) },
      })),
    ),
    observe('parley.lanes.parked_keys', 'Keys with an event put aside for a later try.', () => [
      { value: parkedKeys(), attributes },
    ]),
  ]
}
