import { afterEach, describe, expect, inject, test, vi } from 'vitest'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { sql } from 'kysely'
import { z } from 'zod'
import { encodeToken, laneOf, subjectOf } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { defineService, kit, openDatabase, openLog, outboxRow, type Service } from '../src/index.ts'
import { startTcpProxy, startWorld, type World } from '../src/testing/index.ts'
import { counterBumped } from './shop.ts'

/** Two handlers of one event, each of which a test can hold up or make fail. */
interface PairApp {
  first(note: string): void | Promise<void>
  second(note: string): void | Promise<void>
}
interface PairTables {
  seen: { organizationId: string; eventId: string; handler: string; note: string }
}
const { on } = kit<PairApp, PairTables>()
const write = (handler: 'first' | 'second') =>
  on(handler, counterBumped, async ({ event, tx, app }) => {
    const { organizationId, id, data } = event
    await app[handler](data.note)
    await sql`insert into seen (organization_id, event_id, handler, note) values (${organizationId}, ${id}, ${handler}, ${data.note})`.execute(
      tx,
    )
  })
const pair = defineService<PairApp, PairTables, Record<string, never>>({
  name: 'pair',
  summary: 'Hears everything twice, for tests.',
  config: z.object({}),
  handlers: [write('first'), write('second')],
  states: [counterBumped],
  migrations: [
    {
      name: '001-seen',
      up: `create table seen (organization_id uuid not null, place bigint generated always as identity, event_id uuid not null,
        handler text not null, note text not null, primary key (organization_id, event_id, handler));`,
    },
  ],
  async open() {
    return { first: () => {}, second: () => {} }
  },
})

let world: World
afterEach(async () => {
  await world?.stop()
})
async function open(): Promise<PairApp> {
  world = await startWorld({
    services: [pair as unknown as Service],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
  })
  return world.running.services[0]?.app as PairApp
}
const bump = (note: string) => world.state('pair', counterBumped, { counter: 'one', note })
async function onBus(note: string, key: string): Promise<void> {
  const event = outboxRow(
    'pair',
    { organizationId: world.organizationId, correlationId: randomUUIDv7(), causationId: undefined },
    counterBumped,
    { counter: key, note },
  )
  const subject = subjectOf(world.environment['BUS_ROOT'] as string, event.type, event.organizationId, event.key)
  await world.running.bus.publish(subject, event.id, event.envelope)
}
const seenBy = async (handler: string) =>
  (await world.sql<{ note: string }>(`select note from pair.seen where handler = $1 order by place`, [handler])).map(
    ({ note }) => note,
  )

describe('an event with two handlers', () => {
  test('reaches the second one although the database went away between the two', async () => {
    const app = await open()
    let tries = 0
    app.second = () => {
      tries++
      // The first failure makes the group run one by one; the second is no fault of the event's.
      if (tries === 1) throw new Error('planted')
      if (tries === 2) throw Object.assign(new Error('terminating connection'), { code: '57P01' })
    }
    await bump('a')
    await bump('b')
    await expect.poll(() => seenBy('second'), { timeout: 10_000 }).toEqual(['a', 'b'])
    expect(await seenBy('first')).toEqual(['a', 'b'])
  })
})

describe('an event behind one that was put aside', () => {
  test('is not forgotten when it comes while that one is tried again', async () => {
    const app = await open()
    let tries = 0
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    app.first = async (note) => {
      if (note !== 'a') return
      tries++
      if (tries <= 2) throw new Error('planted')
      await gate
    }
    await bump('a')
    await expect.poll(() => tries, { timeout: 10_000 }).toBe(3)
    // Straight onto the bus: the relay waits with what is committed while the retry's transaction is open.
    await onBus('b', 'one')
    // Others pass meanwhile; once the last of them has, 'b' has long arrived too.
    // Of lanes of their own: the one where something is tried again waits for that.
    const others = Array.from({ length: 24 }, (_, i) => `other ${i}`)
      .filter((key) => laneOf(world.organizationId, key) !== laneOf(world.organizationId, 'one'))
      .slice(0, 3)
    for (const other of others) {
      await onBus(other, other)
      await expect.poll(() => seenBy('second'), { timeout: 5_000 }).toContain(other)
    }
    release()
    await expect.poll(() => seenBy('first'), { timeout: 10_000 }).toEqual([...others, 'a', 'b'])
    await world.settle()
    expect(await world.sql(`select state from pair.dead_letters where state in ('waiting', 'retrying')`)).toEqual([])
  })
})

describe('a lane that a replica holds on paper only', () => {
  test('is read again, by whoever has room for it', async () => {
    await open()
    const replica = await world.startReplica()
    const shares = () => [world.running, replica].map((entry) => entry.services[0]?.consumer.held().length)
    await expect.poll(shares, { timeout: 10_000 }).toEqual([8, 8])
    // As when a replica took it in a commit whose answer never came: it knows nothing of it.
    const lane = laneOf(world.organizationId, 'one')
    await world.sql(
      `update pair.lane_leases l set epoch = epoch + 1, expires_at = now() + interval '1 second',
         holder = (select holder from pair.lane_leases other where other.holder <> l.holder limit 1) where lane = $1`,
      [lane],
    )
    await bump('a')
    await expect.poll(() => seenBy('first'), { timeout: 15_000 }).toEqual(['a'])
    await expect.poll(shares, { timeout: 10_000 }).toEqual([8, 8])
  })
})

describe('a database that throws everybody out', () => {
  test('ends no process when its last word comes in one piece with an answer that others wait behind', async () => {
    await open()
    const url = new URL(world.databaseUrl('parley_pair'))
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) })
    url.host = `127.0.0.1:${proxy.port}`
    const log = openLog({ name: 'test', level: 'silent' })
    const database = openDatabase({ url: url.toString(), schema: 'pair', applicationName: 'late', maxConnections: 1, log })
    const uncaught = vi.fn()
    process.on('uncaughtException', uncaught)
    try {
      await database.query('select 1 as warm')
      proxy.set({ kind: 'half-open', drops: 'to-client' })
      const ended = Promise.allSettled([
        database.query('select 1 as asked'),
        database.transaction(null, (session) => session.query('select 1 as next')),
      ])
      const answered = () =>
        world.sql<{ pid: number }>(
          `select pid from pg_stat_activity where application_name = 'late' and state = 'idle' and query like '%asked%'`,
        )
      await expect.poll(async () => (await answered()).length).toBe(1)
      await world.sql('select pg_terminate_backend($1, 5000)', [(await answered())[0]?.pid])
      proxy.set({ kind: 'pass' })
      expect((await ended).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect(await database.query('select 1 as one')).toEqual([{ one: 1 }])
      expect(uncaught).not.toHaveBeenCalled()
    } finally {
      process.off('uncaughtException', uncaught)
      await database.close()
      await proxy.close()
    }
  })
})

describe('a replica', () => {
  test('that starts while others tell their news keeps its connection to the broker', async () => {
    await open()
    const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
    const nc = await connect({ servers: world.environment['NATS_URL'] as string })
    const news = setInterval(() => nc.publish(`poke.${world.environment['BUS_ROOT']}.${encodeToken('pair.news')}`), 1)
    try {
      const replica = await world.startReplica()
      await expect.poll(() => replica.services[0]?.consumer.held().length, { timeout: 5_000 }).toBe(8)
      // The client says so here when a listener's error ends its reading.
      expect(printed).not.toHaveBeenCalled()
    } finally {
      clearInterval(news)
      await nc.close()
      printed.mockRestore()
    }
  })
})

describe('a relay with nothing to publish', () => {
  test('notices that the stream is a new one, and puts back what it had published', async () => {
    await open()
    for (const note of ['a', 'b', 'c']) await bump(note)
    await world.settle()
    const nc = await connect({ servers: world.environment['NATS_URL'] as string })
    try {
      const manager = await jetstreamManager(nc)
      const stream = (world.environment['BUS_ROOT'] as string).toUpperCase()
      await manager.streams.delete(stream)
      // As another service's relay does when its own publish finds no stream.
      await world.running.bus.ensureStream()
      await expect.poll(async () => (await manager.streams.info(stream)).state.messages, { timeout: 10_000 }).toBe(3)
    } finally {
      await nc.close()
    }
  })

  test('makes the stream anew by itself when nobody else does', async () => {
    await open()
    await bump('a')
    await world.settle()
    const nc = await connect({ servers: world.environment['NATS_URL'] as string })
    try {
      const manager = await jetstreamManager(nc)
      const stream = (world.environment['BUS_ROOT'] as string).toUpperCase()
      await manager.streams.delete(stream)
      const stored = () =>
        manager.streams.info(stream).then(
          ({ state }) => state.messages,
          () => 'no stream',
        )
      await expect.poll(stored, { timeout: 15_000 }).toBe(1)
    } finally {
      await nc.close()
    }
  })
})
