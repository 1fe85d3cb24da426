import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { laneOf, subjectOf } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { startWorld, type World } from '../src/testing/index.ts'
import { type CounterApp, counter, counterBumped } from './shop.ts'

let world: World
beforeEach(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterEach(async () => {
  await world?.stop()
})
const bump = (name: string, note: string) => world.state('counter', counterBumped, { counter: name, note })
const notes = () => world.sql<{ counter: string; note: string }>(`select counter, note from counter.notes order by place`)

/** Straight to the broker, past the outbox, as an attacker on the bus or a foreign program would. */
async function onBus<T>(
  work: (tools: {
    publish(subject: string, text: string): Promise<void>
    manager: Awaited<ReturnType<typeof jetstreamManager>>
    stream: string
  }) => Promise<T>,
): Promise<T> {
  const nc = await connect({ servers: world.environment['NATS_URL'] as string })
  try {
    const manager = await jetstreamManager(nc)
    return await work({
      manager,
      stream: (world.environment['BUS_ROOT'] as string).toUpperCase(),
      async publish(subject, text) {
        await nc.request(subject, text, { timeout: 5_000 })
      },
    })
  } finally {
    await nc.close()
  }
}

describe('lanes', () => {
  test('are shared when a replica comes, and taken back when it goes, with nothing lost, doubled or out of order', async () => {
    for (let i = 0; i < 50; i++) await bump(`c${i % 10}`, `${i}`)
    const replica = await world.startReplica()
    await expect
      .poll(() => [world.running.services[0]?.consumer.held().length, replica.services[0]?.consumer.held().length], {
        timeout: 10_000,
      })
      .toEqual([8, 8])
    for (let i = 50; i < 100; i++) await bump(`c${i % 10}`, `${i}`)
    await replica.stop()
    await expect.poll(() => world.running.services[0]?.consumer.held().length, { timeout: 5_000 }).toBe(16)
    for (let i = 100; i < 150; i++) await bump(`c${i % 10}`, `${i}`)
    await world.settle()
    const seen = await notes()
    expect(seen).toHaveLength(150)
    for (let name = 0; name < 10; name++) {
      const own = seen.filter((row) => row.counter === `c${name}`).map((row) => Number(row.note))
      expect(own).toEqual([...own].sort((a, b) => a - b))
    }
  })

  test('refuse the commit of a holder whose lane was taken meanwhile', async () => {
    const app = world.running.services[0]?.app as CounterApp
    let stolen = false
    app.faults.handler = async () => {
      if (stolen) return
      stolen = true
      await world.sql(
        `update counter.lane_leases set epoch = epoch + 1, holder = 'thief', expires_at = now() + interval '2 seconds'`,
      )
    }
    await bump('fenced', 'once')
    await expect.poll(() => stolen).toBe(true)
    // While the thief's lease lasts nothing may be written; afterwards the event is handled, once.
    await expect.poll(async () => (await notes()).length, { timeout: 10_000 }).toBe(1)
    const lease = await world.sql<{ holder: string }>(`select distinct holder from counter.lane_leases`)
    expect(lease.map((row) => row.holder)).not.toContain('thief')
  })
})

describe('the broker', () => {
  test('may lose its whole stream: it is rebuilt from the outbox and nothing happens twice (F9, F33)', async () => {
    for (let i = 0; i < 20; i++) await bump('lost', `${i}`)
    await world.settle()
    await onBus(({ manager, stream }) => manager.streams.delete(stream))
    for (let i = 20; i < 40; i++) await bump('lost', `${i}`)
    await expect.poll(async () => (await notes()).length, { timeout: 20_000 }).toBe(40)
    await world.settle(30_000)
    expect((await notes()).map((row) => Number(row.note))).toEqual(Array.from({ length: 40 }, (_, i) => i))
    const stored = await onBus(async ({ manager, stream }) => (await manager.streams.info(stream)).state.messages)
    expect(stored).toBe(40)
  })

  test('may lose a lane’s consumer: reading goes on from the committed position (F33)', async () => {
    await bump('before', '1')
    await world.settle()
    await onBus(async ({ manager, stream }) => {
      for await (const consumer of manager.consumers.list(stream)) await manager.consumers.delete(stream, consumer.name)
    })
    await bump('after', '2')
    await expect.poll(async () => (await notes()).length, { timeout: 20_000 }).toBe(2)
  })

  test('may bring an event twice: it is handled once', async () => {
    await bump('twice', 'x')
    await world.settle()
    const [row] = await world.sql<{ envelope: string; lane: number }>(
      `select envelope::text as envelope, lane from counter.outbox where key = 'twice'`,
    )
    await onBus(({ publish }) =>
      publish(
        subjectOf(world.environment['BUS_ROOT'] as string, 'counter.bumped', world.organizationId, 'twice'),
        row?.envelope as string,
      ),
    )
    await bump('twice', 'y')
    await world.settle()
    expect((await notes()).map((entry) => entry.note)).toEqual(['x', 'y'])
  })
})

describe('what is no event (A29, A31)', () => {
  const root = () => world.environment['BUS_ROOT'] as string

  test('garbage on the bus stops nothing and is kept when it names an organization', async () => {
    const lane = laneOf(world.organizationId, 'k')
    await onBus(async ({ publish }) => {
      await publish(`${root()}.${lane}.counter.bumped.x.k`, 'not json')
      await publish(
        `${root()}.${lane}.counter.bumped.x.k`,
        JSON.stringify({
          organizationid: world.organizationId,
          type: 'counter.bumped',
          dataversion: 1,
          id: randomUUIDv7(),
          subject: 'k',
          data: { counter: 5 },
        }),
      )
    })
    await bump('k', 'good')
    await world.settle()
    expect((await notes()).map((row) => row.note)).toEqual(['good'])
    const dead = await world.sql(`select handler, state, error_class from counter.dead_letters`)
    expect(dead).toEqual([{ handler: 'contract', state: 'dead', error_class: 'permanent' }])
  })

  test('a version newer than ours is left to those who know it', async () => {
    const lane = laneOf(world.organizationId, 'k')
    const envelope = {
      specversion: '1.0',
      id: randomUUIDv7(),
      type: 'counter.bumped',
      source: 'counter',
      time: new Date().toISOString(),
      subject: 'k',
      datacontenttype: 'application/json',
      dataversion: 2,
      organizationid: world.organizationId,
      correlationid: 'c',
      data: { other: true },
    }
    await onBus(({ publish }) => publish(`${root()}.${lane}.counter.bumped.${world.organizationId}.k`, JSON.stringify(envelope)))
    await bump('k', 'good')
    await world.settle()
    expect(await world.sql(`select 1 from counter.dead_letters`)).toEqual([])
  })

  test('an event on a lane that is not its own is refused', async () => {
    const own = laneOf(world.organizationId, 'k')
    const envelope = {
      specversion: '1.0',
      id: randomUUIDv7(),
      type: 'counter.bumped',
      source: 'counter',
      time: new Date().toISOString(),
      subject: 'k',
      datacontenttype: 'application/json',
      dataversion: 1,
      organizationid: world.organizationId,
      correlationid: 'c',
      data: { counter: 'k', note: 'forged' },
    }
    await onBus(({ publish }) =>
      publish(`${root()}.${(own + 1) % 16}.counter.bumped.${world.organizationId}.k`, JSON.stringify(envelope)),
    )
    await bump('k', 'good')
    await world.settle()
    expect((await notes()).map((row) => row.note)).toEqual(['good'])
  })

  test.each(['a.b', 'a*b', '>', 'a b', 'a\r\nb', 'é', '%2E', '..'])(
    'a key like %j travels as one token and back',
    async (key) => {
      await bump(key, 'hello')
      await world.settle()
      expect(await notes()).toEqual([{ counter: key, note: 'hello' }])
    },
  )
})

describe('the relay', () => {
  test('skips no event of a transaction that commits late (gap-free by the snapshot horizon)', async () => {
    const database = world.running.services[0]?.database
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    let begun = () => {}
    const beginning = new Promise<void>((resolve) => {
      begun = resolve
    })
    const slow = database?.commit({ organizationId: world.organizationId }, async (tx, { emit }) => {
      await sql`select pg_current_xact_id()`.execute(tx)
      begun()
      await gate
      emit(counterBumped, { counter: 'late', note: 'first to begin' })
    })
    await beginning
    for (let i = 0; i < 20; i++) await bump('early', `${i}`)
    // The open transaction is older than all of those: they wait behind the horizon with it.
    const before = (await notes()).length
    release()
    await slow
    expect(before).toBe(0)
    await world.settle()
    expect((await notes()).map((row) => row.note).sort()).toEqual(
      ['first to begin', ...Array.from({ length: 20 }, (_, i) => `${i}`)].sort(),
    )
  })

  test('has one leader, and another takes over when it goes', async () => {
    const replica = await world.startReplica()
    const leaders = () => [world.running, replica].filter((entry) => entry.services[0]?.relay.leads()).length
    await expect.poll(leaders, { timeout: 5_000 }).toBe(1)
    await world.running.services[0]?.relay.stop()
    await expect.poll(() => replica.services[0]?.relay.leads(), { timeout: 5_000 }).toBe(true)
    await replica.services[0]?.database.commit({ organizationId: world.organizationId }, async (_tx, { emit }) =>
      emit(counterBumped, { counter: 'led', note: 'on' }),
    )
    await expect.poll(async () => (await notes()).length, { timeout: 10_000 }).toBe(1)
  })
})
