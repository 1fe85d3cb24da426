import type { Bus } from './bus.ts'
import type { Database } from './db.ts'
import { describe } from './errors.ts'
import type { HeldLane } from './leases.ts'
import type { Logger } from './log.ts'
import { laneCount } from '@parley/contracts'

/** Until when a service has heard everything that was said, lane by lane, by whichever replica hears it. */
export interface Hearing {
  /** Milliseconds since everything in a lane's stream had been handled, and the stream took more. */
  ago(lane: number): number
  /** Looks now, or waits for the look that is under way. */
  look(): Promise<void>
  stop(): Promise<void>
}

export interface HearingOptions {
  replicaId: string
  database: Database<never>
  bus: Pick<Bus, 'streamState'>
  log: Logger
  held: ReadonlyMap<number, HeldLane>
  /** Handlers without which a lane counts as unheard while something of theirs is put aside. */
  vital: readonly string[]
}

/** What a lane must have handled to have heard all that was said by then. */
interface Goal {
  asOf: number
  /** The event that must be handled, by its place in the stream. */
  upTo: number
  /** With it, all of the stream until here. */
  completeTo: number
}

const lookMs = 750

/**
 * A stream that stands still, is full or is not handled looks like one in which nothing happens: so the broker is asked how far it is,
 * and what was handled is held against that. Nothing is asked about lanes while nothing new came.
 */
export function startHearing({ replicaId, database, bus, log, held, vital }: HearingOptions): Hearing {
  const heardAt = new Map<number, number>()
  const goals = new WeakMap<HeldLane, Goal>()
  const complete = new WeakMap<HeldLane, number>()
  let stopped = false
  let looking: Promise<void> | undefined

  const note = (lane: number, at: number) => heardAt.set(lane, Math.max(at, heardAt.get(lane) ?? Number.NEGATIVE_INFINITY))

  /** Something vital of this lane waits for another try. */
  const waits = (lane: HeldLane) => [...lane.parked].some((id) => vital.some((handler) => id.startsWith(`${handler}|`)))

  async function lookAt(lane: HeldLane, asOf: number, last: number): Promise<void> {
    if (complete.get(lane) !== last && goals.get(lane) === undefined) {
      const { pending, given } = await lane.reader.place()
      goals.set(lane, { asOf, upTo: pending === 0 ? given : last, completeTo: last })
    }
    reach(lane)
    if (complete.get(lane) === last && !waits(lane)) note(lane.lane, asOf)
  }

  function reach(lane: HeldLane): void {
    const goal = goals.get(lane)
    if (goal === undefined || lane.position < goal.upTo) return
    goals.delete(lane)
    complete.set(lane, goal.completeTo)
    if (!waits(lane)) note(lane.lane, goal.asOf)
  }

  /** Replicas tell each other in the table of the leases; one that holds every lane has nobody to tell. */
  async function share(): Promise<void> {
    const own = [...held.keys()].filter((lane) => heardAt.has(lane))
    const read = performance.now()
    const rows = await database.query<{ lane: number; ago: number }>(
      `with mine as materialized (
         select l.lane, v.ago from lane_leases l join unnest($2::smallint[], $3::float8[]) as v (lane, ago) on v.lane = l.lane
         where l.holder = $1 order by l.lane for no key update of l
       ), told as (
         update lane_leases l set heard_at = now() - mine.ago * interval '1 millisecond' from mine where l.lane = mine.lane)
       select lane, extract(epoch from now() - heard_at)::float8 * 1000 as ago from lane_leases where heard_at is not null`,
      [replicaId, own, own.map((lane) => ago(lane))],
    )
    for (const row of rows) note(row.lane, read - row.ago)
  }

  const ago = (lane: number) => performance.now() - (heardAt.get(lane) ?? Number.NEGATIVE_INFINITY)

  async function lookNow(): Promise<void> {
    const asOf = performance.now()
    try {
      const { lastSequence, takesMore } = await bus.streamState()
      const lanes = [...held.values()].filter((lane) => !lane.releasing)
      // A full stream keeps what is to be heard out of it.
      if (takesMore) await Promise.allSettled(lanes.map((lane) => lookAt(lane, asOf, lastSequence)))
      if (held.size < laneCount) await share()
    } catch (error) {
      log.debug({ err: describe(error) }, 'how far the lanes are could not be found out')
    }
  }

  function look(): Promise<void> {
    looking ??= lookNow().finally(() => {
      looking = undefined
    })
    return looking
  }
  const timer = setInterval(() => {
    if (!stopped) void look()
  }, lookMs)

  return {
    ago,
    look,
    async stop() {
      stopped = true
      clearInterval(timer)
      await looking
    },
  }
}
