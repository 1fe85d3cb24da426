import { monthOf, rolePermissions } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { putLimits } from '../src/routes/plans.ts'
import { patchSubscription } from '../src/routes/subscriptions.ts'
import { plans } from '../src/rules/plan.ts'
import { accounts } from '../src/service.ts'
import { openBooks, thisMonth } from './books.ts'

let world: World

beforeAll(async () => {
  world = await startWorld({
    services: [accounts],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
  })
})
afterAll(() => world?.stop())

test('messages, conversations and requests are counted once, however often their events are delivered', async () => {
  const books = openBooks(world, randomUUIDv7())
  await books.created()
  const conversationId = randomUUIDv7()
  const customerId = randomUUIDv7()
  await books.started(conversationId)
  for (let i = 0; i < 5; i++) await books.message({ conversationId, customerId })
  await books.message({ conversationId, customerId, sender: 'system' })
  await books.turn(1_500)
  await books.turn(0, { model: null })
  await world.settle()
  const once = { messages: 5, requests: 1, micros: 1_500, conversations: 1 }
  expect(await books.counted(thisMonth())).toEqual(once)

  // The handlers' own record is lost, and everything is published again.
  await world.sql(`delete from accounts.handled`)
  await world.sql(`update accounts.relay_cursor set xid = '0', seq = 0`)
  await world.sql(`update accounts.lane_leases set position = 0`)
  await world.restart()
  await world.settle()
  const [again] = await world.sql<{ handled: number }>(
    `select count(*)::int as handled from accounts.handled where handler in ('meter-messages', 'meter-turns', 'meter-conversations')`,
  )
  expect(again?.handled).toBeGreaterThanOrEqual(9)
  expect(await books.counted(thisMonth())).toEqual(once)
})

test('80 and 100 per cent are told once each in a month, and the stop is told to the other services', async () => {
  const books = openBooks(world, randomUUIDv7())
  await books.created()
  await books.limits({ messages: 10 })
  await Promise.all(Array.from({ length: 7 }, () => books.message()))
  await world.settle()
  expect(await books.warnings()).toEqual([])
  await books.message()
  await world.settle()
  expect(await books.warnings()).toMatchObject([{ metric: 'messages', percent: 80, used: 8, limit: 10, stops: true }])
  await Promise.all(Array.from({ length: 20 }, () => books.message()))
  await world.settle()
  await books.message()
  await world.settle()
  expect((await books.warnings()).map(({ percent }) => percent)).toEqual([80, 100])
  expect((await books.allowances()).at(-1)).toMatchObject({ month: thisMonth(), stopped: ['messages'], limits: { messages: 10 } })
})

test('a month begins in the organization’s own zone, and each month counts from nothing', async () => {
  const books = openBooks(world, randomUUIDv7())
  await books.created({ timezone: 'Pacific/Kiritimati' })
  await books.message({ addedAt: new Date('2026-01-31T09:59:59.999Z') })
  await books.message({ addedAt: new Date('2026-01-31T10:00:00.000Z') })
  await books.message({ addedAt: new Date('2026-02-01T00:00:00.000Z') })
  await world.settle()
  expect(await books.counted('2026-01-01')).toMatchObject({ messages: 1 })
  expect(await books.counted('2026-02-01')).toMatchObject({ messages: 2 })
})

test('a stop of one month is none in the next', async () => {
  const books = openBooks(world, randomUUIDv7())
  const timezone = 'America/St_Johns'
  await books.created({ timezone })
  const current = monthOf(new Date(), timezone)
  await books.limits({ messages: 2 })
  const past = new Date('2026-01-15T12:00:00Z')
  for (let i = 0; i < 3; i++) await books.message({ addedAt: past })
  await world.settle()
  expect(await books.warnings()).toMatchObject([{ month: '2026-01-01', percent: 100 }])
  expect((await books.allowances()).at(-1)).toMatchObject({ month: current, stopped: [] })
  await books.message()
  await books.message()
  await world.settle()
  expect((await books.warnings()).map(({ month, percent }) => [month, percent])).toContainEqual([current, 100])
  expect((await books.allowances()).at(-1)).toMatchObject({ month: current, stopped: ['messages'] })
})

test('an organization that nobody signed up is counted and never limited', async () => {
  const books = openBooks(world, randomUUIDv7())
  for (let i = 0; i < 3; i++) await books.message()
  await world.settle()
  expect(await books.counted(thisMonth())).toMatchObject({ messages: 3 })
  expect(await books.allowances()).toEqual([])
})

test('many events of many organizations at once are all counted, and nothing waits for a deadlock to be broken', async () => {
  const all = Array.from({ length: 8 }, () => openBooks(world, randomUUIDv7()))
  for (const books of all) await books.created()
  await Promise.all(all.flatMap((books) => Array.from({ length: 60 }, () => books.message())))
  await world.settle()
  for (const books of all) expect(await books.counted(thisMonth())).toMatchObject({ messages: 60 })
  const failed = await world.sql(`select error from accounts.dead_letters`)
  expect(failed).toEqual([])
})

test('an organization begins on the free plan, and its own AI budget is what others are told when it is lower', async () => {
  const books = openBooks(world, randomUUIDv7())
  await books.created()
  expect((await books.allowances()).at(-1)?.limits).toEqual(plans.free.limits)
  const ai = { enabled: true, modelPreference: null, confidenceThreshold: 0.5, monthlyBudgetMicros: 5_000 }
  await books.updated({ revision: 2, ai, timezone: 'Europe/Paris' })
  const last = (await books.allowances()).at(-1)
  expect(last).toMatchObject({ timezone: 'Europe/Paris', limits: { aiSpendMicros: 5_000 } })
  // An older record that comes late changes nothing.
  await books.updated({ revision: 1, timezone: 'Asia/Tokyo' })
  expect((await books.allowances()).at(-1)).toEqual(last)
  await books.turn(5_000)
  await world.settle()
  expect((await books.allowances()).at(-1)).toMatchObject({ stopped: ['ai_spend'], revision: (last?.revision ?? 0) + 1 })
})

test('the routes show what is used, what is left, month by month and use by use, and an operator may agree other limits', async () => {
  const books = openBooks(world)
  expect((await world.call('PUT', '/v1/operator/limits', { body: { messages: 1 } })).status).toBe(404)
  await books.created({ timezone: 'Europe/Paris' })
  const conversationId = randomUUIDv7()
  const customerId = randomUUIDv7()
  for (let i = 0; i < 3; i++) await books.message({ conversationId, customerId })
  await books.message({ conversationId, customerId, sender: 'agent' })
  await books.turn(1_100)
  await world.settle()
  const limits = await world.call('PUT', '/v1/operator/limits', { body: { messages: 3, customers: null } })
  expect(limits).toMatchObject({ status: 200, body: { limits: { ...plans.free.limits, messages: 3, customers: null } } })
  const { body } = await world.call('GET', '/v1/usage')
  expect(body).toMatchObject({ plan: 'free', timezone: 'Europe/Paris', totals: { messages: 4, customers: 1, totalTokens: 110 } })
  const metric = (name: string) => body.metrics.find((one: { metric: string }) => one.metric === name)
  expect(metric('messages')).toEqual({
    metric: 'messages',
    used: 4,
    limit: 3,
    remaining: 0,
    percent: 133,
    overage: 1,
    stops: true,
  })
  expect(metric('customers')).toMatchObject({ used: 1, limit: null, remaining: null, percent: null, stops: false })
  expect(metric('ai_spend')).toMatchObject({ used: 1_100, remaining: (plans.free.limits.aiSpendMicros ?? 0) - 1_100 })
  expect((await world.call('GET', '/v1/usage/months')).body.items).toMatchObject([{ totals: { messages: 4 }, closedAt: null }])
  const logs = await world.call('GET', '/v1/usage/logs?type=ai_request&limit=1')
  expect(logs.body).toMatchObject({
    total: 1,
    items: [{ usageType: 'ai_request', aiModel: 'gpt-4o-mini', totalTokens: 110, unitCostMicros: 10, totalCostMicros: 1_100 }],
  })
  expect((await world.call('GET', '/v1/usage/logs?type=message')).body.total).toBe(4)
  // Another organization's key sees its own, which is nothing.
  const other = await world.call('GET', '/v1/usage', { key: world.otherKey })
  expect(other.body).toMatchObject({ plan: null, totals: { messages: 0 } })
  expect((await world.call('PUT', '/v1/operator/limits', { body: { message: 3 } })).status).toBe(400)
})

test('an owner, who may do everything else, can neither raise the limits nor take the plan that is agreed in person', async () => {
  const never = () => {
    throw new Error('Nothing may be read or written.')
  }
  const caller = {
    organizationId: world.organizationId,
    actor: { kind: 'member', id: randomUUIDv7() },
    permissions: rolePermissions.owner,
  }
  const call = (body: object) => ({ body, caller, read: never, commit: never, app: {} }) as never
  const forbidden = expect.objectContaining({ code: 'forbidden' })
  await expect(Promise.resolve(putLimits.run(call({ messages: null })))).rejects.toEqual(forbidden)
  await expect(Promise.resolve(patchSubscription.run(call({ plan: 'enterprise' })))).rejects.toEqual(forbidden)
})
