import { fitsKey, keyProblem, subjectOn } from '@parley/contracts'
import pg from 'pg'
import { Unpublishable } from './bus-publisher.ts'
import type { Bus } from './bus.ts'
import type { Database } from './db.ts'
import { recordUnpublishable, relayHandler } from './dead-letters.ts'
import { describe } from './errors.ts'
import type { Logger } from './log.ts'
import { createSleeper } from './sleeper.ts'
import { meters, observe } from './telemetry.ts'
import { crashPoint } from './crash.ts'

interface Row {
  seq: string
  xid: string
  id: string
  lane: number
  type: string
  organization_id: string
  key: string
  envelope: string
  /** Seconds since it was committed. */
  age: number
  /** No transaction is open any more that could commit something before it. */
  settled: boolean
}

export interface Relay {
  /** Something was committed: look now. */
  wake(): void
  /** Everything committed has been published. False also while another replica leads. */
  idle(): Promise<boolean>
  leads(): boolean
  stop(): Promise<void>
}

export interface RelayOptions {
  serviceName: string
  schema: string
  /** As the relay role. */
  url: string
  /** As the service: dead letters are its own. */
  database: Database<never>
  bus: Bus
  log: Logger
  pollMs: number
}

const batchSize = 512
const inFlight = 64
/** Below it no transaction is open any more that could commit something in between. */
const horizon = 'pg_snapshot_xmin(pg_current_snapshot())'
const age = 'extract(epoch from now() - o.created_at)::float8 as age'
/** The first event after a pause goes out at once; those that follow on its heels share a look: four loops share two cores. */
const gatherMs = 8
/** How often the leader looks whether the stream is still the one it fills, when nothing gives it reason to. */
const streamCheckMs = 5_000

/**
 * Publishes a service's outbox in commit order. One replica leads (advisory lock on its own session). It reads strictly after its
 * cursor in (xid, seq) order and only below the snapshot horizon, so a transaction that commits late is never skipped
 * (reliability.md D6); rows are not touched, the cursor is the only thing written. Losing that write is harmless: the same id
 * is published again and the broker or the handlers refuse it. Events of one key go out one after another, up to 64 keys at a time.
 * A row that no try could ever publish becomes a dead letter, and the relay goes on.
 * When the stream turns out to be a new one, the cursor goes back 72 hours and the stream is rebuilt from here.
 */
export function startRelay(options: RelayOptions): Relay {
  const { bus, log, schema } = options
  let stopped = false
  let client: pg.Client | undefined
  let leading = false
  let caughtUp = false
  let oldestWaitingSeconds = 0
  let unpublishable = 0
  /** How often in a row everything new was above the horizon. */
  let heldBack = 0
  let woken = true
  let streamCheckDue = 0
  /** Where this leader is; nobody else moves it while the advisory lock is held. */
  let cursor = { xid: '0', seq: '0' }
  /** The cursor has moved since it was written down. */
  let unmarked = false
  let nextLookDue = 0
  const news = createSleeper()

  const attributes = { service: options.serviceName }
  const gauges = [
    observe(
      'parley.outbox.age',
      'Age in seconds of the oldest committed event that the leading relay has not published yet.',
      () => (leading ? [{ value: oldestWaitingSeconds, attributes }] : []),
    ),
    observe(
      'parley.outbox.unpublishable',
      'Events of the outbox that no try can publish: dead letters that wait for somebody to decide.',
      () => (leading ? [{ value: unpublishable, attributes }] : []),
    ),
    observe('parley.relay.leads', 'Whether this replica publishes the outbox: 1 in exactly one replica.', () => [
      { value: leading ? 1 : 0, attributes },
    ]),
  ]

  function wake(): void {
    woken = true
    caughtUp = false
    news.wake()
  }

  /** Between tries at something that is down; woken when the broker is back: four relays in a row would each wait theirs out. */
  const nextTry = createSleeper()
  /** In a row; each makes the next pause longer. */
  let failures = 0
  const stopDoubts = bus.onStreamDoubt(() => {
    streamCheckDue = 0
    wake()
    // The broker is back, but its keeper may need a moment more: what comes now is a new row of failures.
    failures = 0
    nextTry.wake()
  })

  /** A pause that news do not cut short: between tries at something that is down. */
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

  async function lead(): Promise<pg.Client> {
    const connection = new pg.Client({
      connectionString: options.url,
      application_name: `parley-relay-${options.serviceName}`,
      // Planning a look over the outbox's partitions costs five times what the look does.
      options: `-c search_path=${schema} -c synchronous_commit=off -c plan_cache_mode=force_generic_plan -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5`,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      keepAlive: true,
    })
    connection.on('error', () => {
      leading = false
    })
    try {
      await connection.connect()
      while (!stopped) {
        const locked = await connection.query<{ held: boolean }>(
          `select pg_try_advisory_lock(hashtext('parley.relay'), hashtext($1)) as held`,
          [schema],
        )
        if (locked.rows[0]?.held) return connection
        await pause(500)
      }
      return connection
    } catch (error) {
      await connection.end().catch(() => {})
      throw error
    }
  }

  /** Writes down where the cursor is. Losing this is harmless: events are published again under their ids. */
  async function mark(connection: pg.Client): Promise<void> {
    if (!unmarked) return
    await connection.query('update relay_cursor set xid = $1, seq = $2', [cursor.xid, cursor.seq])
    unmarked = false
  }

  async function countUnpublishable(connection: pg.Client): Promise<void> {
    const { rows } = await connection.query<{ count: number }>(
      `select count(*)::int as count from dead_letters where handler = '${relayHandler}' and state = 'dead'`,
    )
    unpublishable = rows[0]?.count ?? 0
  }

  /** Takes up the cursor, and goes back with it when the stream is not the one it was moved on. */
  async function takeUp(connection: pg.Client): Promise<void> {
    streamCheckDue = performance.now() + streamCheckMs
    await mark(connection)
    await countUnpublishable(connection)
    const created = await bus.ensureStream()
    const known = await connection.query<{ xid: string; seq: string; stream_created: string | null }>(
      'select xid, seq, stream_created from relay_cursor',
    )
    cursor = { xid: known.rows[0]?.xid ?? '0', seq: known.rows[0]?.seq ?? '0' }
    const before = known.rows[0]?.stream_created ?? null
    if (before === created) return
    // Not beyond the snapshot's horizon: a transaction still open there may commit events older than any that can be seen now.
    const start = await connection.query<{ xid: string; seq: string }>(
      `update relay_cursor set stream_created = $1,
         (xid, seq) = (select least(min(xid), pg_snapshot_xmin(pg_current_snapshot())), 0 from outbox where created_at > now() - interval '72 hours')
       returning xid, seq`,
      [created],
    )
    cursor = { xid: start.rows[0]?.xid ?? '0', seq: start.rows[0]?.seq ?? '0' }
    if (before !== null)
      log.warn({ stream: bus.stream }, 'the stream is a new one: it is rebuilt from the last 72 hours of the outbox')
  }

  /** Publishes a row, or makes it a dead letter when no try ever could: those behind it are not its business. */
  async function publish(row: Row): Promise<void> {
    try {
      if (!fitsKey(row.key)) throw new Unpublishable(`The key ${keyProblem}.`)
      await bus.publish(subjectOn(bus.root, row.lane, row.type, row.organization_id, row.key), row.id, row.envelope)
      meters.published().add(1, { service: options.serviceName })
    } catch (error) {
      if (!(error instanceof Unpublishable)) throw error
      await options.database.transaction(row.organization_id, (session) => recordUnpublishable(session, row, error))
      unpublishable++
      meters.deadLetters().add(1, { service: options.serviceName, handler: relayHandler })
      log.error({ err: describe(error), eventId: row.id, type: row.type }, 'an event cannot be published; it is a dead letter')
    }
  }

  /** Publishes rows in order within each key. Throws the first failure after every started publish has ended. */
  async function publishAll(rows: Row[]): Promise<void> {
    const chains = new Map<string, Row[]>()
    for (const row of rows) {
      const id = `${row.organization_id}/${row.key}`
      const chain = chains.get(id)
      if (chain) chain.push(row)
      else chains.set(id, [row])
    }
    const queue = [...chains.values()]
    let failure: Error | undefined
    const worker = async () => {
      for (let chain = queue.pop(); chain && failure === undefined; chain = queue.pop()) {
        for (const row of chain) {
          if (failure !== undefined) return
          try {
            await publish(row)
          } catch (error) {
            failure = error instanceof Error ? error : new Error(String(error))
          }
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(inFlight, queue.length) }, worker))
    if (failure !== undefined) throw failure
  }

  /** What comes after the cursor, in order, whether it may go out already or not; the same trip writes down how far the cursor is. */
  async function look(connection: pg.Client): Promise<Row[]> {
    const marks = unmarked
    unmarked = false
    const { rows } = await connection.query<Row>({
      name: marks ? 'relay-mark-and-look' : 'relay-look',
      text: `${marks ? 'with marked as (update relay_cursor set xid = $1::xid8, seq = $2::bigint)' : ''}
             (select o.seq, o.xid, o.id, o.lane, o.type, o.organization_id, o.key, o.envelope::text as envelope, ${age}, true as settled
              from outbox o where (o.xid, o.seq) > ($1::xid8, $2::bigint) and o.xid < ${horizon}
              order by o.xid, o.seq limit ${batchSize})
             union all
             (select null, null, null, null, null, null, null, null, ${age}, false
              from outbox o where (o.xid, o.seq) > ($1::xid8, $2::bigint) and o.xid >= ${horizon}
              order by o.xid, o.seq limit 1)`,
      values: [cursor.xid, cursor.seq],
    })
    return rows
  }

  async function step(connection: pg.Client): Promise<void> {
    const early = nextLookDue - performance.now()
    if (early > 0) await pause(early)
    woken = false
    // A relay that has nothing to say would not notice that what it said is gone.
    if (performance.now() > streamCheckDue) await takeUp(connection)
    const rows = await look(connection)
    oldestWaitingSeconds = rows[0]?.age ?? 0
    const settled = rows.filter((row) => row.settled)
    const last = settled.at(-1)
    if (last) {
      caughtUp = false
      heldBack = 0
      await publishAll(settled)
      crashPoint('relay.after_publish')
      crashPoint('relay.before_mark')
      cursor = { xid: last.xid, seq: last.seq }
      unmarked = true
      if (rows.length < batchSize) nextLookDue = performance.now() + gatherMs
    } else if (rows.length > 0) {
      // Some transaction before it is open, for a millisecond or two usually; the longer it lasts, the less often it is worth asking.
      await pause(Math.min(2 ** ++heldBack, 50))
    } else {
      caughtUp = !woken
      if (!woken && !stopped) await news.sleep(options.pollMs * (0.8 + Math.random() * 0.4))
    }
  }

  async function main(): Promise<void> {
    while (!stopped) {
      try {
        client = await lead()
        if (stopped) break
        leading = true
        unmarked = false
        await takeUp(client)
        failures = 0
        while (!stopped && leading) await step(client)
        if (leading) await mark(client)
      } catch (error) {
        const what = describe(error)
        meters.publishFailures().add(1, { service: options.serviceName })
        if (failures++ % 20 === 0)
          log.warn({ err: what }, 'the outbox cannot be published right now; it keeps everything and tries on')
        // A publish may have failed because the stream is gone: the next round looks, rebuilds it and rewinds.
        await nextTry.sleep(Math.min(100 * 2 ** Math.min(failures, 5), 2_000) * (0.5 + Math.random()))
      } finally {
        leading = false
        caughtUp = false
        await client?.end().catch(() => {})
        client = undefined
      }
    }
  }
  const done = main()

  return {
    wake,
    leads: () => leading,
    idle: async () => leading && caughtUp && !woken,
    async stop() {
      stopped = true
      stopDoubts()
      news.wake()
      nextTry.wake()
      await done
      for (const stopGauge of gauges) stopGauge()
    },
  }
}
