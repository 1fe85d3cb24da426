import { accounts } from '@parley/accounts'
import { agents } from '@parley/agents'
import { messageAdded, organizationCreated } from '@parley/contracts'
import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'

let world: World
let model: ModelSimulator

beforeAll(async () => {
  model = await startModelSimulator()
  world = await startWorld({
    services: [accounts, agents],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { MODEL_SIMULATOR_URL: model.baseUrl, AGENTS_QUIET_MS: '0' },
  })
  const { organizationId } = world
  await world.state('accounts', organizationCreated, {
    organizationId,
    name: 'Maison Zoé',
    status: 'active',
    timezone: 'Europe/Paris',
    locale: 'fr-FR',
    currency: 'EUR',
    ai: { enabled: true, modelPreference: null, confidenceThreshold: 0.5, monthlyBudgetMicros: null },
    revision: 1,
  })
  await world.settle()
})
afterAll(async () => {
  await world?.stop()
  await model?.close()
})

/** A customer writes in a conversation of their own; resolves with how the agent's turn ended. */
async function says(text: string): Promise<{ outcome: string; reason: string | null }> {
  const conversationId = randomUUIDv7()
  await world.state('agents', messageAdded, {
    conversationId,
    conversationVersion: 1,
    messageId: randomUUIDv7(),
    customerId: randomUUIDv7(),
    channel: 'whatsapp',
    accountId: 'PHONE-1',
    chatId: '33612345678@s.whatsapp.net',
    sender: 'user',
    content: { type: 'text', text, attachments: [], location: null, contacts: [], choice: null, order: null },
    wantsReply: true,
    addedAt: new Date().toISOString(),
  })
  const turn = async () => {
    const events = await world.events('agents', 'turn.taken')
    return events.find((event) => event.key === conversationId)?.data as { outcome: string; reason: string | null } | undefined
  }
  return await vi.waitUntil(turn, { timeout: 10_000 })
}

const limits = (body: Record<string, number | null>) => world.call('PUT', '/v1/operator/limits', { body })

test('a plan that is used up reaches the agents within five seconds, and what is raised lets them talk again', async () => {
  expect(await says('Hello')).toMatchObject({ outcome: 'replied' })
  await world.settle()
  const { body } = await world.call('GET', '/v1/usage')
  expect(body.totals).toMatchObject({ messages: 1, customers: 1, aiRequests: 1 })

  const startedAt = performance.now()
  expect(await limits({ aiRequests: 1 })).toMatchObject({ status: 200 })
  await vi.waitUntil(async () => (await world.call('GET', '/v1/usage/ai')).body.month.stopped === true, {
    timeout: 5_000,
    interval: 20,
  })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  const asked = model.count
  expect(await says('Hello?')).toEqual(expect.objectContaining({ outcome: 'handed_over', reason: 'budget_spent' }))
  expect(model.count).toBe(asked)

  await limits({ aiRequests: 100 })
  await world.settle()
  expect(await says('Hello again')).toMatchObject({ outcome: 'replied' })
})

test('the month’s AI budget that accounts told is kept by the agents’ own ledger', async () => {
  await world.settle()
  const { aiSpendMicros: spent } = (await world.call('GET', '/v1/usage')).body.totals
  expect(spent).toBeGreaterThan(0)
  // Room for a fraction of a turn: nothing is stopped, and nothing fits.
  expect(await limits({ aiSpendMicros: spent + 1 })).toMatchObject({ status: 200 })
  await world.settle()
  const { month } = (await world.call('GET', '/v1/usage/ai')).body
  expect(month).toMatchObject({ capMicros: spent + 1, settledMicros: spent, stopped: false })
  expect(await says('How much?')).toMatchObject({ outcome: 'handed_over', reason: 'budget_spent' })
})

test('at the end of the plan’s messages a person is left to answer, and what comes in is still counted', async () => {
  await limits({ aiSpendMicros: null })
  await world.settle()
  const { messages } = (await world.call('GET', '/v1/usage')).body.totals
  expect(await limits({ messages })).toMatchObject({ status: 200 })
  await world.settle()
  expect((await world.call('GET', '/v1/usage/ai')).body.month).toMatchObject({ usedUp: ['messages'], stopped: false })
  const asked = model.count
  expect(await says('Hello')).toMatchObject({ outcome: 'handed_over', reason: 'messages_used_up' })
  expect(model.count).toBe(asked)
  await world.settle()
  // It came in all the same, and was counted.
  expect((await world.call('GET', '/v1/usage')).body.totals.messages).toBe(messages + 1)

  await limits({ messages: null })
  await world.settle()
  expect(await says('Hello again')).toMatchObject({ outcome: 'replied' })
})

test('at the end of the plan’s customers somebody new is left to a person', async () => {
  await world.settle()
  const { customers } = (await world.call('GET', '/v1/usage')).body.totals
  expect(await limits({ customers })).toMatchObject({ status: 200 })
  await world.settle()
  expect(await says('Hello')).toMatchObject({ outcome: 'handed_over', reason: 'customers_used_up' })
  await limits({ customers: null })
  await world.settle()
  expect(await says('Hello again')).toMatchObject({ outcome: 'replied' })
})
