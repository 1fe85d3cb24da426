import { type Event, fromEnvelope } from '@parley/contracts'
import type { Database, Session } from './db.ts'
import { type ErrorText, errorText, nextTry } from './dead-letters.ts'
import { classify, describe } from './errors.ts'
import { type HeldLane, type Leases, LanesLost } from './leases.ts'
import type { Logger } from './log.ts'
import { meters } from './telemetry.ts'
import type { Handler } from './types.ts'
import type { Unit } from './unit.ts'

type AnyHandler = Handler<never, never, never>

/** Events put aside: which keys wait, and their next tries. */
export interface Parked {
  has(handler: string, event: { organizationId: string; key: string }): boolean
  /** Something of this key was put aside and is due after `delayMs`. */
  add(handler: string, event: { organizationId: string; key: string }, delayMs: number): void
  /** Learns what the former holder of these lanes left. */
  remember(lanes: readonly number[]): Promise<void>
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

/**
 * Events that a handler could not take wait here with their key: the first is tried again, those behind it follow in order, and
 * other keys of the lane go on meanwhile (reliability.md D12, F26). Only the lane's holder adds or tries.
 */
export function startParked(options: ParkedOptions): Parked {
  const { serviceName, database, log } = options
  const keys = new Set<string>()
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
    const due = await options.system.query<Due>(
      `select id, organization_id, handler, key, lane, payload::text as envelope, attempts from dead_letters
       where state = 'retrying' and kind = 'event' and lane = any($1::smallint[]) and (next_at <= now() or $2) order by id limit ${pageSize}`,
      [[...held.keys()], everything],
    )
    for (const row of due) {
      const lane = held.get(row.lane)
      if (lane && !stopping) await options.exclusively(lane, () => tryOne(row, lane))
    }
    if (due.length === pageSize) setImmediate(() => void retry())
  }

  async function tryOne(row: Due, lane: HeldLane): Promise<void> {
    const unit = options.newUnit()
    try {
      const more = await recover(row, lane, unit)
      meters.handled().add(1, { service: serviceName, handler: row.handler, outcome: 'recovered' })
      goOn(row, more)
      options.onCommitted(unit)
    } catch (error) {
      // Our own infrastructure's fault counts against nothing: the row is as it was, and its time comes again.
      if (!(error instanceof LanesLost) && classify(error) !== 'outage') await recordFailure(row, lane, error)
    }
  }

  /** Answers whether another event of the key became due. */
  function recover(row: Due, lane: HeldLane, unit: Unit): Promise<boolean> {
    const handler = options.handlers.find((candidate) => candidate.name === row.handler)
    if (!handler) throw new Error(`There is no handler '${row.handler}' any more.`)
    const event = fromEnvelope(JSON.parse(row.envelope))
    return database.transaction(row.organization_id, async (session) => {
      options.leases().confirm(session, lane)
      const first = await session.query(
        `insert into handled (event_id, handler) values ($1, $2) on conflict do nothing returning 1`,
        [event.id, handler.name],
      )
      if (first.length > 0) await options.invoke(session, unit, event, handler)
      await session.query(
        `update dead_letters set state = 'recovered', last_at = now(), attempts = attempts + 1, next_at = null where organization_id = $1 and id = $2`,
        [row.organization_id, row.id],
      )
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
         where organization_id = $1 and id = $2`,
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
    goOn(row, more)
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

  function goOn(row: Due, more: boolean): void {
    if (more) setImmediate(() => void retry())
    else keys.delete(idOf(row.handler, { organizationId: row.organization_id, key: row.key }))
  }

  const sweeper = setInterval(() => void retry(), 1_000)
  return {
    has: (handler, event) => keys.size > 0 && keys.has(idOf(handler, event)),
    add(handler, event, delayMs) {
      keys.add(idOf(handler, event))
      setTimeout(() => void retry(), delayMs + 10).unref()
    },
    async remember(lanes) {
      const rows = await options.system.query<{ handler: string; organization_id: string; key: string }>(
        `select distinct handler, organization_id, key from dead_letters where state in ('retrying', 'waiting') and lane = any($1::smallint[])`,
        [lanes],
      )
      for (const row of rows) keys.add(idOf(row.handler, { organizationId: row.organization_id, key: row.key }))
    },
    empty: () => keys.size === 0,
    count: () => keys.size,
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
