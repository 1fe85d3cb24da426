import { type Event, fromEnvelope } from '@parley/contracts'
import type { Database, Session } from './db.ts'
import { type ErrorText, errorText, nextTry } from './dead-letters.ts'
import { classify, describe, isOurTrouble } from './errors.ts'
import { type HeldLane, type Leases, LanesLost } from './leases.ts'
import type { Logger } from './log.ts'
import { meters } from './telemetry.ts'
import type { Handler } from './types.ts'
import type { Unit } from './unit.ts'

type AnyHandler = Handler<never, never, never>

/** Events put aside: which keys wait, and their next tries. Where a key stands is in the database; a held lane remembers its own. */
export interface Parked {
  has(lane: HeldLane, handler: string, event: { organizationId: string; key: string }): boolean
  /** Something of this key was put aside and is due after `delayMs`. */
  add(lane: HeldLane, handler: string, event: { organizationId: string; key: string }, delayMs: number): void
  /** What waits in lanes that are being taken, as `HeldLane.parked` has it. */
  of(lanes: readonly number[]): Promise<Map<number, Set<string>>>
  /** Nothing waits. */
  empty(): boolean
  count(): number
  /** Tries everything now rather than at its time. */
  retryNow(): void
  stop(): Promise<void>
}

export interface ParkedOptions {
  serviceName: string
  handlers: readonly AnyHandler[]
  database: Database<never>
  /** As the relay role: sees dead letters of every organization. */
  system: Database<never>
  leases: () => Leases
  log: Logger
  newUnit(): Unit
  /** Runs the handler in the open transaction. */
  invoke(session: Session<never>, unit: Unit, event: Event, handler: AnyHandler): Promise<void>
  /** Ends what one handler did: the work it left to be shared, and what it states and asks for. */
  flush(session: Session<never>, unit: Unit, organizationId: string): Promise<void>
  /** Runs `work` while no group of the lane is under way: one that put an event behind this key's last would leave it there. */
  exclusively(lane: HeldLane, work: () => Promise<void>): Promise<void>
  onCommitted(unit: Unit): void
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

const pageSize = 50
/** What met trouble of our own is left alone for so long: it must not keep what is behind it from its try. */
const restMs = 1_000

/**
 * Events that a handler could not take wait here with their key: the first is tried again, those behind it follow in order, and
 * other keys of the lane go on meanwhile (reliability.md D12, F26). Only the lane's holder adds or tries.
 */
export function startParked(options: ParkedOptions): Parked {
  const { serviceName, database, log } = options
  /** Until when (performance.now()) which of them are left alone. */
  const resting = new Map<string, number>()
  const idOf = (handler: string, event: { organizationId: string; key: string }) =>
    `${handler}|${event.organizationId}|${event.key}`
  let stopping = false
  let early = false
  let trying: Promise<void> | undefined

  function retry(): Promise<void> {
    if (stopping) return Promise.resolve()
    trying ??= tryDue()
      .catch((error: unknown) => log.warn({ err: describe(error) }, 'put-aside events could not be tried'))
      .finally(() => {
        trying = undefined
      })
    return trying
  }

  async function tryDue(): Promise<void> {
    const everything = early
    early = false
    const { held } = options.leases()
    for (const [id, until] of resting) if (everything || until < performance.now()) resting.delete(id)
    const due = await options.system.query<Due>(
      `select id, organization_id, handler, key, lane, payload::text as envelope, attempts from dead_letters
       where state = 'retrying' and kind = 'event' and lane = any($1::smallint[]) and (next_at <= now() or $2) and id <> all($3::uuid[])
       order by place limit ${pageSize}`,
      [[...held.keys()], everything, [...resting.keys()]],
    )
    for (const row of due) {
      const lane = held.get(row.lane)
      if (!lane || stopping) continue
      await options.exclusively(lane, () => tryOne(row, lane)).catch((error: unknown) => rest(row, error))
    }
    if (due.length === pageSize) setImmediate(() => void retry())
  }

  function rest(row: Due, error: unknown): void {
    resting.set(row.id, performance.now() + restMs)
    log.info({ err: describe(error), deadLetterId: row.id }, 'a put-aside event could not be tried; it is as it was')
  }

  async function tryOne(row: Due, lane: HeldLane): Promise<void> {
    const unit = options.newUnit()
    try {
      const more = await recover(row, lane, unit)
      meters.handled().add(1, { service: serviceName, handler: row.handler, outcome: 'recovered' })
      goOn(row, lane, more)
      options.onCommitted(unit)
    } catch (error) {
      // Our own trouble counts against nothing: the row is as it was, and its time comes again.
      if (error instanceof LanesLost || isOurTrouble(classify(error))) rest(row, error)
      else await recordFailure(row, lane, error)
    }
  }

  /** Answers whether another event of the key became due. */
  function recover(row: Due, lane: HeldLane, unit: Unit): Promise<boolean> {
    const handler = options.handlers.find((candidate) => candidate.name === row.handler)
    if (!handler) throw new Error(`There is no handler '${row.handler}' any more.`)
    const event = fromEnvelope(JSON.parse(row.envelope))
    return database.transaction(row.organization_id, async (session) => {
      options.leases().confirm(session, lane)
      // Its state decides whether it is still to be run: as handled it counts since it was put aside.
      const due = await session.query(
        `update dead_letters set state = 'recovered', last_at = now(), attempts = attempts + 1, next_at = null
         where organization_id = $1 and id = $2 and state = 'retrying' returning 1`,
        [row.organization_id, row.id],
      )
      if (due.length > 0) await options.invoke(session, unit, event, handler)
      const more = await promote(session, row)
      await options.flush(session, unit, row.organization_id)
      return more
    })
  }

  async function recordFailure(row: Due, lane: HeldLane, error: unknown): Promise<void> {
    const errorClass = classify(error)
    const attempts = row.attempts + 1
    const next = nextTry(errorClass, attempts)
    const what: ErrorText = describe(error)
    const more = await database.transaction(row.organization_id, async (session) => {
      options.leases().confirm(session, lane)
      await session.query(
        `update dead_letters set state = $3, last_at = now(), attempts = $4, error_class = $5, error = $6, next_at = now() + $7 * interval '1 ms'
         where organization_id = $1 and id = $2 and state = 'retrying'`,
        [
          row.organization_id,
          row.id,
          next.dead ? 'dead' : 'retrying',
          attempts,
          errorClass,
          errorText(what),
          next.dead ? 0 : next.delayMs,
        ],
      )
      return next.dead ? promote(session, row) : true
    })
    if (!next.dead) {
      setTimeout(() => void retry(), next.delayMs + 10).unref()
      return
    }
    meters.deadLetters().add(1, { service: serviceName, handler: row.handler })
    log.error({ err: error, handler: row.handler, deadLetterId: row.id }, 'an event was given up')
    goOn(row, lane, more)
  }

  /** The next event of the key becomes due; answers whether there was one. */
  async function promote(session: Session<never>, row: Due): Promise<boolean> {
    const next = await session.query(
      `update dead_letters set state = 'retrying', next_at = now() where organization_id = $1 and id = (
         select id from dead_letters where organization_id = $1 and handler = $2 and key = $3 and state = 'waiting' order by place limit 1) returning 1`,
      [row.organization_id, row.handler, row.key],
    )
    return next.length > 0
  }

  function goOn(row: Due, lane: HeldLane, more: boolean): void {
    if (more) setImmediate(() => void retry())
    else lane.parked.delete(idOf(row.handler, { organizationId: row.organization_id, key: row.key }))
  }

  const sweeper = setInterval(() => void retry(), 1_000)
  const count = () => [...options.leases().held.values()].reduce((sum, lane) => sum + lane.parked.size, 0)
  return {
    has: (lane, handler, event) => lane.parked.size > 0 && lane.parked.has(idOf(handler, event)),
    add(lane, handler, event, delayMs) {
      lane.parked.add(idOf(handler, event))
      setTimeout(() => void retry(), delayMs + 10).unref()
    },
    async of(lanes) {
      const rows = await options.system.query<{ lane: number; handler: string; organization_id: string; key: string }>(
        `select distinct lane, handler, organization_id, key from dead_letters
         where kind = 'event' and state in ('retrying', 'waiting') and lane = any($1::smallint[])`,
        [lanes],
      )
      const byLane = Map.groupBy(rows, (row) => row.lane)
      const ids = (lane: number) =>
        (byLane.get(lane) ?? []).map((row) => idOf(row.handler, { organizationId: row.organization_id, key: row.key }))
      return new Map(lanes.map((lane) => [lane, new Set(ids(lane))]))
    },
    empty: () => count() === 0,
    count,
    retryNow() {
      early = true
      void retry()
    },
    async stop() {
      stopping = true
      clearInterval(sweeper)
      await trying
    },
  }
}
