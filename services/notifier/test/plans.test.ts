import { plansOf, startWorld, type World } from '@parley/runtime/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { listOutgoing } from '../src/db/outgoing-messages.ts'
import type { DB } from '../src/db/types.ts'
import { notifier } from '../src/service.ts'

const many = 60_000
let world: World
const organization = randomUUID()
beforeAll(async () => {
  world = await startWorld({ services: [notifier], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  await world.sql(
    `insert into notifier.outgoing_messages (organization_id, id, conversation_id, customer_id, channel, account_id, quick_replies, sender, state, requested_at)
     select $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'whatsapp', 'line', '[]', 'agent', 'sent', now()
     from generate_series(1, ${many})`,
    [organization],
  )
  await world.sql('analyze notifier.outgoing_messages')
}, 120_000)
afterAll(async () => {
  await world?.stop()
})

test('a page of outgoing messages reads that page, and its count ends', async () => {
  const [rows, count] = await plansOf<DB>(world, { service: 'notifier', organizationId: organization }, (tx) =>
    listOutgoing(tx, organization, { limit: 25, offset: 0 }),
  )
  expect(rows).toMatchObject({ scanned: [], touched: 25 })
  expect(count?.touched).toBeLessThanOrEqual(10_000)
})
