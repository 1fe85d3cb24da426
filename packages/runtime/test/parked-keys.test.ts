import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { laneOf } from '@parley/contracts'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { Permanent, RetryLater, type Running } from '../src/index.ts'
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
const notesOf = async (name: string) =>
  (await world.sql<{ note: string }>(`select note from counter.notes where counter = $1 order by place`, [name])).map(
    (row) => row.note,
  )
const letters = (state: string) =>
  world.sql<{ id: string; key: string }>(`select id, key from counter.dead_letters where state = $1`, [state])
const appOf = (running: Running) => running.services[0]?.app as CounterApp
const heldBy = (running: Running) => running.services[0]?.consumer.held() ?? []

/** One key of each lane. */
function keyOfEachLane(): string[] {
  const keys = new Map<number, string>()
  for (let i = 0; keys.size < 16; i++) keys.set(laneOf(world.organizationId, `k${i}`), `k${i}`)
  return [...keys.values()]
}

async function shareLanes(): Promise<Running> {
  const replica = await world.startReplica()
  await expect.poll(() => [heldBy(world.running).length, heldBy(replica).length], { timeout: 10_000 }).toEqual([8, 8])
  return replica
}

async function redrive(running: Running, id: string): Promise<number> {
  const path = `/v1/ops/counter/dead-letters/${id}/redrive`
  const answer = await fetch(running.url + path, { method: 'POST', headers: { authorization: `Bearer ${world.key}` } })
  return answer.status
}

test('a key put aside on one replica and recovered by another is free again where it was put aside', async () => {
  const keys = keyOfEachLane()
  appOf(world.running).faults.handler = (note) => {
    if (note === 'first') throw new RetryLater('Not here.')
  }
  for (const key of keys) await bump(key, 'first')
  await expect.poll(async () => (await letters('retrying')).length).toBe(16)
  const replica = await shareLanes()
  await expect.poll(async () => (await letters('recovered')).length, { timeout: 10_000 }).toBe(8)
  appOf(world.running).faults = {}
  await replica.stop()
  await expect.poll(() => heldBy(world.running).length, { timeout: 10_000 }).toBe(16)
  for (const key of keys) await bump(key, 'later')
  await world.settle(20_000)
  for (const key of keys) expect([key, await notesOf(key)]).toEqual([key, ['first', 'later']])
  expect(await letters('waiting')).toEqual([])
})

test('from its redrive on, whichever replica is asked, later events of the key wait behind the dead letter', async () => {
  const replica = await shareLanes()
  const both = [world.running, replica]
  const faults = { refused: true, held: true }
  for (const running of both)
    appOf(running).faults.handler = (note) => {
      if (note === 'a' && faults.refused) throw new Permanent('Never.')
      if (note === 'a' && faults.held) throw new RetryLater('Not yet.')
    }
  const [mine, theirs] = both.map((running) =>
    keyOfEachLane().find((key) => heldBy(running).includes(laneOf(world.organizationId, key))),
  )
  const keys = [mine as string, theirs as string]
  for (const key of keys) await bump(key, 'a')
  await expect.poll(async () => (await letters('dead')).length, { timeout: 10_000 }).toBe(2)
  faults.refused = false
  // Each is tried again by the word of the first replica, and held by a different one.
  for (const { id } of await letters('dead')) expect(await redrive(world.running, id)).toBe(200)
  for (const note of ['b', 'c']) for (const key of keys) await bump(key, note)
  await expect.poll(async () => (await letters('waiting')).length, { timeout: 10_000 }).toBe(4)
  faults.held = false
  for (const key of keys) await expect.poll(() => notesOf(key), { timeout: 15_000 }).toEqual(['a', 'b', 'c'])
})

test('what is tried again goes before what is put aside behind it already', async () => {
  let refused = true
  appOf(world.running).faults.handler = (note) => {
    if (note === 'a' && refused) throw new Permanent('Never.')
    if (note === 'b' && refused) throw new RetryLater('Not yet.')
  }
  for (const note of ['a', 'b', 'c']) await bump('k', note)
  await expect.poll(async () => [(await letters('retrying')).length, (await letters('waiting')).length]).toEqual([1, 1])
  const [dead] = await letters('dead')
  await world.running.services[0]?.consumer.stop()
  refused = false
  expect(await redrive(world.running, dead?.id as string)).toBe(200)
  const order = await world.sql(`select payload->'data'->>'note' as note, state from counter.dead_letters order by place`)
  expect(order).toEqual([
    { note: 'a', state: 'retrying' },
    { note: 'b', state: 'waiting' },
    { note: 'c', state: 'waiting' },
  ])
  await world.restart()
  await expect.poll(() => notesOf('k'), { timeout: 15_000 }).toEqual(['a', 'b', 'c'])
})

test('what waits for its key is handled in the order of the stream, whatever the clocks of those who put it aside say', async () => {
  let refused = true
  appOf(world.running).faults.handler = () => {
    if (refused) throw new RetryLater('Not yet.')
  }
  for (let i = 0; i < 20; i++) await bump('k', `${i}`)
  await expect.poll(async () => (await letters('waiting')).length).toBe(19)
  // Ids of a replica whose clock went backwards.
  await world.sql(`update counter.dead_letters d set id = o.id from (
    select id as was, row_number() over (order by place desc) as turn from counter.dead_letters) n,
    lateral (select ('00000000-0000-7000-8000-' || lpad(n.turn::text, 12, '0'))::uuid as id) o where d.id = n.was`)
  refused = false
  await expect.poll(() => notesOf('k'), { timeout: 20_000 }).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`))
})

test.each(['dropped', 'dead'])('a %s dead letter stays one when the stream is filled again from the outbox', async (state) => {
  let runs = 0
  appOf(world.running).faults.handler = (note) => {
    if (note === 'a') runs++
  }
  await bump('k', 'permanent')
  await bump('k', 'a')
  await world.settle()
  const [dead] = await letters('dead')
  if (state === 'dropped')
    expect(await world.call('POST', `/v1/ops/counter/dead-letters/${dead?.id}/drop`)).toMatchObject({ status: 200 })
  const nc = await connect({ servers: world.environment['NATS_URL'] as string })
  try {
    const manager = await jetstreamManager(nc)
    await manager.streams.delete((world.environment['BUS_ROOT'] as string).toUpperCase())
  } finally {
    await nc.close()
  }
  await bump('k', 'after')
  await expect.poll(() => notesOf('k'), { timeout: 20_000 }).toEqual(['a', 'after'])
  await world.settle(20_000)
  expect(await world.sql('select id, state from counter.dead_letters')).toEqual([{ id: dead?.id, state }])
  expect(runs).toBe(1)
})
