import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWorld, type World } from '@parley/runtime/testing'
import type { CommitFn, ServiceDatabase } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { findDayOfSpend, reserveSpend, settleSpend } from '../src/db/spend.ts'
import type { DB } from '../src/db/types.ts'
import { sentence } from '../src/rules/sentences.ts'
import { agents } from '../src/service.ts'
import { openTalk } from './talk.ts'

const capMicros = 100_000
let world: World
let model: ModelSimulator
let database: ServiceDatabase<DB>

beforeAll(async () => {
  model = await startModelSimulator()
  world = await startWorld({
    services: [agents],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { MODEL_SIMULATOR_URL: model.baseUrl, AGENTS_QUIET_MS: '0', AGENTS_DAILY_CAP_MICROS: String(capMicros) },
  })
  database = world.running.services[0]?.database as unknown as ServiceDatabase<DB>
})
afterAll(async () => {
  await world?.stop()
  await model?.close()
})

function reserve(organizationId: string, day: string, amountMicros: number, conversationId = randomUUIDv7()) {
  const wanted = { id: randomUUIDv7(), turnId: randomUUIDv7(), conversationId, day, amountMicros, capMicros: 10_000 }
  const commit: CommitFn<DB> = (work) => database.commit({ organizationId }, work)
  return reserveSpend(commit, organizationId, wanted).then((reserved) => ({ ...wanted, reserved }))
}

test('fifty parallel workers cannot exceed the cap, and reach it', async () => {
  const organizationId = randomUUIDv7()
  const all = await Promise.all(Array.from({ length: 50 }, () => reserve(organizationId, '2026-01-01', 1_000)))
  expect(all.filter(({ reserved }) => reserved)).toHaveLength(10)
  const spend = await database.read(organizationId, (tx) => findDayOfSpend(tx, organizationId, '2026-01-01'))
  expect(spend).toEqual({ reservedMicros: 10_000, settledMicros: 0 })
})

test('what is settled makes room again, each reservation once, however often it is said', async () => {
  const organizationId = randomUUIDv7()
  const day = '2026-01-01'
  const ten = await Promise.all(Array.from({ length: 10 }, () => reserve(organizationId, day, 1_000)))
  expect((await reserve(organizationId, day, 1_000)).reserved).toBe(false)
  const settle = (costMicros: number) =>
    Promise.all(ten.map(({ id }) => database.commit({ organizationId }, (tx) => settleSpend(tx, organizationId, id, costMicros))))
  await settle(100)
  await settle(999)
  const read = () => database.read(organizationId, (tx) => findDayOfSpend(tx, organizationId, day))
  expect(await read()).toEqual({ reservedMicros: 0, settledMicros: 1_000 })
  const more = await Promise.all(Array.from({ length: 50 }, () => reserve(organizationId, day, 1_000)))
  expect(more.filter(({ reserved }) => reserved)).toHaveLength(9)
  expect(await read()).toEqual({ reservedMicros: 9_000, settledMicros: 1_000 })
})

test('another day and another organization have caps of their own, and a sum above the cap never fits', async () => {
  const organizationId = randomUUIDv7()
  expect((await reserve(organizationId, '2026-01-01', 10_000)).reserved).toBe(true)
  expect((await reserve(organizationId, '2026-01-01', 1)).reserved).toBe(false)
  expect((await reserve(organizationId, '2026-01-02', 10_000)).reserved).toBe(true)
  expect((await reserve(randomUUIDv7(), '2026-01-01', 10_000)).reserved).toBe(true)
  expect((await reserve(organizationId, '2026-01-03', 10_001)).reserved).toBe(false)
})

test('the money of a run that died counts in full, once, and the turn goes on under its own name', async () => {
  const talk = openTalk(world)
  const { organizationId } = world
  const today = new Date().toISOString().slice(0, 10)
  const died = await reserve(organizationId, today, 7_000, talk.conversationId)
  await talk.says('Hello')
  await talk.taken(1)
  const [turn] = await talk.turns()
  expect(turn).toMatchObject({ turnId: died.turnId, outcome: 'replied' })
  const { body } = await world.call('GET', '/v1/usage/ai')
  expect(body).toMatchObject({
    reservedMicros: 0,
    settledMicros: 7_000 + (turn?.costMicros ?? 0),
    turns: 1,
    replied: 1,
    capMicros,
  })
})

test('at the cap the model is not asked and a person takes over', async () => {
  const today = new Date().toISOString().slice(0, 10)
  await world.sql(`update agents.spend_ledger set settled_micros = $1 where organization_id = $2 and day = $3`, [
    capMicros,
    world.organizationId,
    today,
  ])
  const before = model.count
  const talk = openTalk(world)
  await talk.says('Hello')
  await talk.taken(1)
  expect(await talk.turns()).toMatchObject([{ outcome: 'handed_over', reason: 'budget_spent', model: null, costMicros: 0 }])
  expect((await talk.replies())[0]?.text).toBe(sentence('budget_spent', 'en'))
  expect(model.count).toBe(before)
})
