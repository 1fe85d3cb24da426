import { customerErased } from '@parley/contracts'
import { randomUUID } from 'node:crypto'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { openDoor, post, whapiMessage } from './door.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

test('erasing a customer empties every receipt of their chats and nobody else’s', async () => {
  const door = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name: 'phone' })
  const headers = { [door.header?.name as string]: door.header?.value as string }
  const send = async (payload: unknown) =>
    (await post(world, door.path, JSON.stringify(payload), headers)).body.receiptId as string
  const [erasedChat, otherChat] = ['33600000001@s.whatsapp.net', '33600000002@s.whatsapp.net']

  const ofErased = await send(whapiMessage('e-1', 'my secret', erasedChat))
  const ofOther = await send(whapiMessage('e-2', 'hello', otherChat))
  const repeatedBesideOther = await send({
    ...whapiMessage('e-1', 'my secret', erasedChat),
    messages: [...whapiMessage('e-1', 'my secret', erasedChat).messages, ...whapiMessage('e-3', 'x', otherChat).messages],
  })
  const unsorted = await send({
    contacts: [{ id: erasedChat, name: 'Zoé' }],
    event: { type: 'contacts', event: 'post' },
    channel_id: 'PHONE-1',
  })
  const unsortedOther = await send({
    contacts: [{ id: otherChat, name: 'Max' }],
    event: { type: 'contacts', event: 'post' },
    channel_id: 'PHONE-1',
  })

  await world.state('ingest', customerErased, {
    customerId: randomUUID(),
    conversationIds: [randomUUID()],
    channel: 'whatsapp',
    accountId: 'PHONE-1',
    chatIds: [erasedChat],
    erasedAt: new Date().toISOString(),
  })

  const emptied = async () => {
    const rows = await world.sql<{ id: string; emptied: boolean }>('select id, body is null as emptied from ingest.receipts')
    return Object.fromEntries(rows.map((row) => [row.id, row.emptied]))
  }
  await expect
    .poll(emptied, { timeout: 10_000, interval: 20 })
    .toEqual({ [ofErased]: true, [repeatedBesideOther]: true, [unsorted]: true, [ofOther]: false, [unsortedOther]: false })
  expect((await world.call('POST', `/v1/receipts/${ofErased}/replay`)).status).toBe(410)
})
