import { laneCount } from '@parley/contracts'
import type { LaneMessage, LaneReader } from './bus-lane.ts'
import type { Bus } from './bus.ts'
import type { Database, Session } from './db.ts'
import { describe } from './errors.ts'
import { failUnless, isFailedGuard } from './guard.ts'
import { isFull } from './lane-buffer.ts'
import type { Logger } from './log.ts'

/** A lane that this replica may read and commit for, until its lease lapses. */
export interface HeldLane {
  lane: number
  /** Rises each time the lane is taken: a commit under an older epoch is refused. */
  epoch: string
  /** Sequence in the stream of the last event that was committed. */
  position: number
  buffer: LaneMessage[]
  reader: LaneReader
  /** A group of its events is being committed. */
  busy: boolean
  /** Something else than its next events comes first: no new group of them begins. */
  reserved: boolean
  releasing: boolean
  /** What waits of it, by handler and key: known for as long as the lane is ours, and forgotten with it. */
  parked: Set<string>
  /** Its next event met trouble of our own, since when, and when it is tried again (performance.now()). */
  trouble: { since: number; until: number } | undefined
}

/** Thrown inside a commit whose lane is not ours any more: nothing is written, the new holder does the work. */
export class LanesLost extends Error {
  override name = 'LanesLost'
}

export interface Leases {
  readonly held: ReadonlyMap<number, HeldLane>
  /** In the commit's transaction: moves the lanes' positions. The commit fails with LanesLost when a lane is somebody else's. */
  movePositions(session: Session<never>, positions: ReadonlyMap<HeldLane, number>): void
  /** In a commit that moves no position: it fails with LanesLost unless the lane is ours, and stays so until the commit ends. */
  confirm(session: Session<never>, lane: HeldLane): void
  stop(): Promise<void>
}

export interface LeasesOptions {
  serviceName: string
  replicaId: string
  types: readonly string[]
  database: Database<never>
  bus: Bus
  log: Logger
  /** What the database says is parked of lanes newly taken, asked before their first message. */
  parkedOf(lanes: readonly number[]): Promise<Map<number, Set<string>>>
  onMessage(): void
}

const leaseSeconds = 4
const tickMs = 750

/**
 * Shares the lanes of a service among its replicas: each holds its part of the 16, renews it every 750 ms, and takes what lapsed
 * (4 s) or was given back. A newcomer makes the others give back what is beyond their share. The lease decides who works; the
 * epoch, checked in every commit, decides who may write.
 */
export function startLeases(options: LeasesOptions): Leases {
  const { serviceName, replicaId, database, bus, log } = options
  const held = new Map<number, HeldLane>()
  let stopping = false
  let renewedAt = performance.now()

  async function tick(): Promise<void> {
    await database.query(`insert into replicas (id) values ($1) on conflict (id) do update set seen_at = now()`, [replicaId])
    // Only lanes that are read here: one that is ours on paper alone (taken in a commit whose answer was lost, or let go while the
    // database was away) would otherwise stay so for ever, and nobody would read it.
    const renewed = await database.query<{ lane: number; epoch: string }>(
      // In the order of the lanes, as commits take them: a renewal and a commit that took them crosswise would wait for each other.
      `with mine as materialized (
         select lane from lane_leases where holder = $1 and lane = any($3::smallint[]) order by lane for no key update)
       update lane_leases l set expires_at = now() + $2 * interval '1 second' from mine where l.lane = mine.lane returning l.lane, l.epoch`,
      [replicaId, leaseSeconds, [...held.keys()]],
    )
    renewedAt = performance.now()
    const mine = new Map(renewed.map((row) => [row.lane, row.epoch]))
    for (const lane of held.values()) if (mine.get(lane.lane) !== lane.epoch) drop(lane)
    const alive = await database.query<{ replicas: number }>(
      `select count(*)::int as replicas from replicas where seen_at > now() - $1 * interval '1 second'`,
      [leaseSeconds],
    )
    const share = Math.ceil(laneCount / Math.max(1, alive[0]?.replicas ?? 1))
    const surplus = [...held.values()].filter((lane) => !lane.releasing).slice(share)
    for (const lane of surplus) void release(lane)
    if (held.size < share && surplus.length === 0) {
      await acquire(share - held.size).catch((error: unknown) => log.info({ err: describe(error) }, 'no lane could be taken'))
    }
  }

  async function acquire(wanted: number): Promise<void> {
    // A service that hears nothing needs no lane, and a reader without a filter would bring it every event there is.
    if (options.types.length === 0) return
    // A stream made anew starts counting again: positions of the old one mean nothing, and `handled` keeps a second reading harmless.
    const created = await bus.ensureStream()
    const taken = await database.query<{ lane: number; epoch: string; position: string }>(
      `update lane_leases l
       set holder = $1, epoch = epoch + 1, expires_at = now() + $2 * interval '1 second', stream_created = $4,
         position = case when stream_created = $4 then position else 0 end
       where lane in (
         select lane from lane_leases where (holder is null or holder = $1 or expires_at < now()) and not lane = any($5::smallint[])
         order by lane limit $3 for update skip locked)
       returning lane, epoch, position`,
      [replicaId, leaseSeconds, wanted, created, [...held.keys()]],
    )
    if (taken.length === 0) return
    const parked = await options.parkedOf(taken.map((row) => row.lane))
    for (const row of taken) hold(row, parked.get(row.lane) ?? new Set(), created)
    log.debug({ lanes: taken.map((row) => row.lane) }, 'lanes taken')
  }

  function hold(taken: { lane: number; epoch: string; position: string }, parked: Set<string>, streamCreated: string): void {
    const position = Number(taken.position)
    const lane: HeldLane = {
      lane: taken.lane,
      epoch: taken.epoch,
      position,
      parked,
      buffer: [],
      busy: false,
      reserved: false,
      releasing: false,
      trouble: undefined,
      reader: bus.readLane({
        name: `${serviceName}-${taken.lane}-e${taken.epoch}`,
        lane: taken.lane,
        types: options.types,
        position,
        streamCreated,
        onMessage(message) {
          lane.buffer.push(message)
          options.onMessage()
        },
        onStreamChanged: () => drop(lane),
        full: () => isFull(lane.buffer) || lane.releasing || stopping,
      }),
    }
    held.set(taken.lane, lane)
  }

  const readersClosing = new Set<Promise<void>>()

  /** Forgets a lane that another replica has, or may have. Its reader closes by itself: the broker may take its time to answer. */
  function drop(lane: HeldLane): void {
    if (held.get(lane.lane) === lane) held.delete(lane.lane)
    lane.releasing = true
    const closing = lane.reader.stop().finally(() => readersClosing.delete(closing))
    readersClosing.add(closing)
  }

  /** Gives a lane up in good order: its group ends, the lease is cleared, the others are told. */
  async function release(lane: HeldLane): Promise<void> {
    lane.releasing = true
    lane.buffer.length = 0
    while (lane.busy) await new Promise((resolve) => setTimeout(resolve, 5))
    drop(lane)
    try {
      await database.query(
        `update lane_leases set holder = null, expires_at = now() where lane = $1 and holder = $2 and epoch = $3`,
        [lane.lane, replicaId, lane.epoch],
      )
      bus.poke(`${serviceName}.lanes`)
    } catch (error) {
      log.info({ err: describe(error), lane: lane.lane }, 'a lane could not be given back; its lease will lapse')
    }
  }

  /** What a failed guard means: that a lane is not ours any more; anything else is itself. */
  function lostUnlessOurs(error: unknown, lanes: readonly HeldLane[]): unknown {
    if (!isFailedGuard(error)) return error
    for (const lane of lanes) drop(lane)
    return new LanesLost('A lane of this commit belongs to another replica now.')
  }

  let ticking: Promise<void> | undefined
  let again = false
  const tickNow = () => {
    if (stopping || ticking) return
    ticking = tick()
      .catch((error: unknown) => {
        log.warn({ err: describe(error) }, 'lane leases could not be renewed')
        // Past the lease's own end somebody else may hold the lanes: stop reading them (the epoch would refuse us anyway).
        if (performance.now() - renewedAt > leaseSeconds * 1000) for (const lane of held.values()) drop(lane)
      })
      .finally(() => {
        ticking = undefined
        if (again) heed()
      })
  }
  /** Somebody gave lanes back: looks now, or right after the look that is under way and may have missed it. */
  function heed(): void {
    again = ticking !== undefined
    tickNow()
  }
  const ticker = setInterval(tickNow, tickMs)
  const stopPoke = bus.onPoke(`${serviceName}.lanes`, heed)
  tickNow()

  return {
    held,
    movePositions(session, positions) {
      const lanes = [...positions.keys()]
      session.send(
        `with locked as materialized (
           select lane from lane_leases where lane = any($1::smallint[]) order by lane for no key update
         ), moved as (
           update lane_leases l set position = v.position
           from locked, unnest($1::smallint[], $2::bigint[], $3::bigint[]) as v (lane, epoch, position)
           where l.lane = locked.lane and v.lane = locked.lane and l.epoch = v.epoch and l.holder = $4 returning 1)
         ${failUnless('(select count(*) from moved) = $5')}`,
        [lanes.map((lane) => lane.lane), lanes.map((lane) => lane.epoch), [...positions.values()], replicaId, lanes.length],
        (error) => lostUnlessOurs(error, lanes),
      )
    },
    confirm(session, lane) {
      session.send(
        `with own as (select 1 from lane_leases where lane = $1 and holder = $2 and epoch = $3 for update)
         ${failUnless('exists (select 1 from own)')}`,
        [lane.lane, replicaId, lane.epoch],
        (error) => lostUnlessOurs(error, [lane]),
      )
    },
    async stop() {
      stopping = true
      clearInterval(ticker)
      stopPoke()
      await ticking
      // First, so that the others' shares have room for each lane as it comes.
      await database.query(`delete from replicas where id = $1`, [replicaId]).catch((error: unknown) => {
        log.info({ err: describe(error) }, 'this replica could not sign off; it will be missed in a few seconds')
      })
      await Promise.all([...held.values()].map((lane) => release(lane)))
      await Promise.all(readersClosing)
    },
  }
}
