import { type DataOf, privacyRequested } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { inbox } from '../src/service.ts'
import { openChat } from './chat.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

type Demand = DataOf<typeof privacyRequested>

const demand = (customer: Demand['customer'], kind: Demand['kind'] = 'customer_redact', options = {}) =>
  world.state(
    'inbox',
    privacyRequested,
    {
      privacyKey: `zoe.myshopify.com:${randomUUIDv7()}`,
      provider: 'shopify',
      shop: 'zoe.myshopify.com',
      shopId: '1',
      kind,
      dataRequestId: null,
      customer,
      orderIds: [],
      ordersTruncated: false,
      requestedAt: new Date().toISOString(),
      receiptId: randomUUIDv7(),
    },
    options,
  )
const notes = async () =>
  (
    await world.sql<{ reason: string }>(
      `select reason from inbox.event_notes where event_type = 'privacy.requested' order by noted_at desc, id desc`,
    )
  ).map(({ reason }) => reason)

test('who a shop asks to erase is erased by their phone number, and nobody else', async () => {
  const [theirs, other] = [openChat(world), openChat(world)]
  await theirs.says('My address is 1 rue de la Paix')
  await other.says('Hello')
  await world.settle()
  const [message] = await theirs.messages()
  await demand({ customerId: '7', email: null, phone: `+${theirs.digits}` })
  await world.settle()
  const stored = await world.sql<{ text: string | null }>(`select text from inbox.messages where id = $1`, [message?.id])
  expect(stored).toEqual([{ text: null }])
  expect(await theirs.messages()).toEqual([])
  expect(await other.messages()).toMatchObject([{ text: 'Hello' }])
  const erased = await world.events('inbox', 'customer.erased')
  expect(erased.map(({ data }) => (data as { chatIds: string[] }).chatIds)).toEqual([[theirs.chatId]])
  // Nothing is said to them, and a second demand finds nobody.
  expect(await world.events('inbox', 'message.send_requested')).toEqual([])
  await demand({ customerId: '7', email: null, phone: `+${theirs.digits}` })
  await world.settle()
  expect(await notes()).toEqual(['nothing_to_erase'])
  expect(await world.events('inbox', 'customer.erased')).toHaveLength(1)
})

test('a demand of another organization does not reach them', async () => {
  const chat = openChat(world)
  await chat.says('Hello')
  await world.settle()
  await demand({ customerId: '7', email: null, phone: `+${chat.digits}` }, 'customer_redact', {
    organizationId: world.otherOrganizationId,
  })
  await world.settle()
  expect(await chat.messages()).toMatchObject([{ text: 'Hello' }])
})

test('a demand that names nobody for certain waits for a person, and says so', async () => {
  const chat = openChat(world)
  await chat.says('Hello')
  await world.settle()
  const before = (await notes()).length
  await demand({ customerId: '7', email: 'zoe@example.com', phone: null })
  await demand({ customerId: '7', email: null, phone: `+${chat.digits}` }, 'data_request')
  await demand(null, 'shop_redact')
  await world.settle()
  expect((await notes()).slice(0, 3)).toEqual(['needs_person', 'needs_person', 'needs_person'])
  expect(await notes()).toHaveLength(before + 3)
  expect(await chat.messages()).toMatchObject([{ text: 'Hello' }])
})
