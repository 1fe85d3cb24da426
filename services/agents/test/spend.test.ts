import { allowanceChanged, type DataOf, monthOf } from '@parley/contracts'
import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWorld, type World } from '@parley/runtime/testing'
import type { CommitFn, ServiceDatabase } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { commitReserving, findDayOfSpend, findMonthOfSpend, settleSpend } from '../src/db/spend.ts'
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
  return reserveInMonth(organizationId, day, amountMicros, null, conversationId)
}

async function reserveInMonth(
  organizationId: string,
  day: string,
  amountMicros: number,
  monthCapMicros: number | null,
  conversationId = randomUUIDv7(),
) {
  const first = `${day.slice(0, 7)}-01`
  const month = { month: first, startsAt: new Date(`${first}T00:00:00Z`), capMicros: monthCapMicros }
  const wanted = { id: randomUUIDv7(), turnId: randomUUIDv7(), conversationId, day, amountMicros, capMicros: 10_000, month }
  const commit: CommitFn<DB> = (work) => database.commit({ organizationId }, work)
  const { isReserved } = await commitReserving(commit, organizationId, async () => ({ result: null, wanted }))
  return { ...wanted, reserved: isReserved }
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

test('fifty parallel turns cannot exceed the month’s budget, on whatever days they are counted', async () => {
  const organizationId = randomUUIDv7()
  const days = ['2099-01-30', '2099-01-31']
  const read = () => database.read(organizationId, (tx) => findMonthOfSpend(tx, organizationId, '2099-01-01'))
  const burst = () =>
    Promise.all(Array.from({ length: 50 }, (_, i) => reserveInMonth(organizationId, days[i % 2] ?? '', 1_000, 13_500)))
  const all = await burst()
  const reserved = all.filter((one) => one.reserved)
  expect(reserved).toHaveLength(13)
  expect(await read()).toEqual({ reservedMicros: 13_000, settledMicros: 0 })

  // Settled below their worst case, they make room for more: up to the budget again, and not beyond.
  const settle = ({ id }: { id: string }) => database.commit({ organizationId }, (tx) => settleSpend(tx, organizationId, id, 100))
  await Promise.all(reserved.map(settle))
  const more = (await burst()).filter((one) => one.reserved)
  expect(more).toHaveLength(12)
  expect(await read()).toEqual({ reservedMicros: 12_000, settledMicros: 1_300 })

  // Another month begins with nothing.
  expect((await reserveInMonth(organizationId, '2099-02-01', 9_000, 13_500)).reserved).toBe(true)
})

test('a reservation that the day refuses leaves nothing in the month, and the other way round', async () => {
  const organizationId = randomUUIDv7()
  const months = () => database.read(organizationId, (tx) => findMonthOfSpend(tx, organizationId, '2026-01-01'))
  const day = () => database.read(organizationId, (tx) => findDayOfSpend(tx, organizationId, '2026-01-01'))
  expect((await reserveInMonth(organizationId, '2026-01-01', 9_000, 50_000)).reserved).toBe(true)
  expect((await reserveInMonth(organizationId, '2026-01-01', 2_000, 50_000)).reserved).toBe(false)
  expect((await reserveInMonth(organizationId, '2026-01-01', 1_000, 9_500)).reserved).toBe(false)
  expect(await months()).toEqual({ reservedMicros: 9_000, settledMicros: 0 })
  expect(await day()).toEqual({ reservedMicros: 9_000, settledMicros: 0 })
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

const told = (more: Partial<DataOf<typeof allowanceChanged>>) => ({
  allowance: 'allowance' as const,
  month: monthOf(new Date(), 'UTC'),
  timezone: 'UTC',
  limits: { messages: null, aiRequests: null, customers: null, aiSpendMicros: null },
  stopped: [],
  revision: 1,
  ...more,
})

/** A turn of an organization whose day has room. */
async function answerUnder(allowance: Partial<DataOf<typeof allowanceChanged>>) {
  await world.sql(`delete from agents.spend_reservations`)
  await world.sql(`delete from agents.spend_ledger`)
  await world.state('agents', allowanceChanged, told(allowance))
  await world.settle()
  const before = model.count
  const talk = openTalk(world)
  await talk.says('Hello')
  await talk.taken(1)
  return { asked: model.count - before, turn: (await talk.turns())[0] }
}

test('a stop that accounts told keeps the model from being asked until the month ends or the stop is lifted', async () => {
  const stopped = await answerUnder({ stopped: ['ai_requests'], revision: 2 })
  expect(stopped).toMatchObject({ asked: 0, turn: { outcome: 'handed_over', reason: 'budget_spent', costMicros: 0 } })
  // An older word that comes late lifts nothing.
  expect(await answerUnder({ revision: 1 })).toMatchObject({ asked: 0 })
  expect(await answerUnder({ revision: 3 })).toMatchObject({ asked: 1, turn: { outcome: 'replied' } })
  expect(await answerUnder({ stopped: ['ai_spend'], month: '2020-01-01', revision: 4 })).toMatchObject({ asked: 1 })
})

test('at the end of the month’s messages no turn asks a model or says a word: a person has the conversation', async () => {
  const stopped = await answerUnder({ stopped: ['messages'], revision: 5 })
  expect(stopped).toMatchObject({ asked: 0, turn: { outcome: 'handed_over', reason: 'messages_used_up', costMicros: 0 } })
  const { turn } = stopped
  const replies = await world.events('agents', 'reply.proposed')
  expect(replies.filter(({ key }) => key === turn?.conversationId)).toEqual([])
  const { body } = await world.call('GET', '/v1/usage/ai')
  expect(body.month).toMatchObject({ stopped: false, usedUp: ['messages'] })
  expect(await answerUnder({ revision: 6 })).toMatchObject({ asked: 1, turn: { outcome: 'replied' } })
})

test('at the end of the month’s customers those who wrote before are answered, and somebody new is left to a person', async () => {
  const known = openTalk(world)
  await known.says('Hello')
  await known.taken(1)
  const stopped = await answerUnder({ stopped: ['customers'], revision: 7 })
  expect(stopped).toMatchObject({ asked: 0, turn: { outcome: 'handed_over', reason: 'customers_used_up', costMicros: 0 } })
  await known.says('Hello again')
  await known.taken(2)
  expect((await known.turns())[1]).toMatchObject({ outcome: 'replied' })

  // Said again, with more that is stopped: the moment stays, and who was new stays new.
  const again = openTalk(world)
  await again.says('Hello')
  await again.taken(1)
  await answerUnder({ stopped: ['customers'], revision: 8 })
  await again.says('Hello?')
  await again.taken(2)
  expect((await again.turns())[1]).toMatchObject({ reason: 'customers_used_up' })
  await answerUnder({ revision: 9 })
})

test('what a customer said more than a day ago is left to a person, without a word', async () => {
  const talk = openTalk(world)
  await world.sql(`update agents.agents set quiet_ms = 60000`)
  await talk.says('Hello')
  await talk.noted()
  await world.sql(`update agents.messages set seen_at = now() - interval '25 hours' where conversation_id = $1`, [
    talk.conversationId,
  ])
  await world.sql(`update agents_jobs.job_common set start_after = now() where name = 'take-turn' and state = 'created'`)
  await talk.taken(1)
  await world.sql(`update agents.agents set quiet_ms = null`)
  expect(await talk.turns()).toMatchObject([{ outcome: 'handed_over', reason: 'came_too_late', model: null }])
  expect(await talk.replies()).toEqual([])
})

test('the month’s AI budget holds without a stop: what a turn could cost at most must fit', async () => {
  const limits = { messages: null, aiRequests: null, customers: null, aiSpendMicros: 10 }
  expect(await answerUnder({ limits, revision: 15 })).toMatchObject({ asked: 0, turn: { reason: 'budget_spent' } })
  const { body } = await world.call('GET', '/v1/usage/ai')
  expect(body.month).toMatchObject({ capMicros: 10, remainingMicros: 0, stopped: false })
  expect(await answerUnder({ revision: 16 })).toMatchObject({ asked: 1 })
})

test('a month that begins to be kept while it runs begins with what its turns have cost', async () => {
  const spent = async () => {
    const { body } = await world.call('GET', '/v1/usage/ai')
    return body.month.settledMicros as number
  }
  const [before] = await world.sql<{ cost: number }>(
    `select sum(cost_micros)::int as cost from agents.turns where organization_id = $1`,
    [world.organizationId],
  )
  await world.sql(`delete from agents.spend_reservations`)
  await world.sql(`delete from agents.spend_months`)
  const { turn } = await answerUnder({ revision: 17 })
  expect(before?.cost).toBeGreaterThan(0)
  expect(await spent()).toBe((before?.cost ?? 0) + (turn?.costMicros ?? 0))
})
