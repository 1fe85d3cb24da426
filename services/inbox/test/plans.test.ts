import type { Tx } from '@parley/runtime'
import { plansOf, startWorld, type World } from '@parley/runtime/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { listConversations } from '../src/db/conversations.ts'
import { readEventsAfter } from '../src/db/outbox.ts'
import type { DB } from '../src/db/types.ts'
import { inbox } from '../src/service.ts'

/** Plans at size: what is judged is how much Postgres looks at, never how long it takes. */
const many = 60_000
const page = { limit: 25, offset: 0, order: 'desc' } as const
let world: World
const busy = randomUUID()
const quiet = randomUUID()
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  await world.sql(
    `insert into inbox.customers (organization_id, id, kind)
     select $1, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'person' from generate_series(1, ${many}) n`,
    [busy],
  )
  await world.sql(
    `insert into inbox.conversations (organization_id, id, customer_id, channel, account_id, chat_id, chat_kind, source, status, last_message_at, started_at)
     select $1, c.id, c.id, 'whatsapp', 'line', c.id::text, 'person', 'whatsapp',
       case when right(c.id::text, 4) = '0001' then 'with_person' else 'open' end, now(), now()
     from inbox.customers c where c.organization_id = $1`,
    [busy],
  )
  // Of a transaction long over: one still open elsewhere on the server would hide them.
  await world.sql(
    `insert into inbox.outbox (xid, id, organization_id, lane, type, key, correlation_id, envelope)
     select '1'::xid8, gen_random_uuid(), case when n % 20000 = 0 then $2::uuid else $1::uuid end, 0, 'message.added', 'k', 'c', '{}'
     from generate_series(1, ${many}) n`,
    [busy, quiet],
  )
  await world.sql('analyze inbox.customers, inbox.conversations, inbox.outbox')
}, 120_000)
afterAll(async () => {
  await world?.stop()
})

const plans = (organizationId: string, work: (tx: Tx<DB>) => Promise<unknown>) =>
  plansOf<DB>(world, { service: 'inbox', organizationId }, work)

test("a quiet organization's stream reads its own events, not everybody's", async () => {
  const [plan] = await plans(quiet, async (tx) => {
    expect(await readEventsAfter(tx, quiet, { xid: 0n, seq: 0n }, 200)).toHaveLength(3)
  })
  expect(plan?.touched).toBeLessThanOrEqual(10)
})

test('a page of conversations in a rare state reads those, and the count of a common one ends', async () => {
  const rare = await plans(busy, (tx) => listConversations(tx, busy, { status: 'with_person' }, page))
  expect(rare).toHaveLength(2)
  for (const plan of rare) expect(plan).toMatchObject({ scanned: [], touched: 6 })
  const [rows, count] = await plans(busy, async (tx) => {
    expect(await listConversations(tx, busy, {}, page)).toMatchObject({ total: 10_000 })
  })
  expect(rows?.touched).toBeLessThanOrEqual(100)
  expect(count?.touched).toBeLessThanOrEqual(10_000)
})
