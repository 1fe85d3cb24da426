import { plansOf, startWorld, type World } from '@parley/runtime/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { listReceipts } from '../src/db/receipts.ts'
import type { DB } from '../src/db/types.ts'
import { ingest } from '../src/service.ts'

const many = 60_000
let world: World
const organization = randomUUID()
beforeAll(async () => {
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  await world.sql(
    `insert into ingest.receipts (organization_id, id, source_id, provider, topic, state, headers, body_sha256, size, event_count, correlation_id, received_at)
     select $1, gen_random_uuid(), gen_random_uuid(), case when n % 20000 = 0 then 'tavus' else 'whapi' end, 't', 'done', '{}', 'h', 1, 1, 'c', now()
     from generate_series(1, ${many}) n`,
    [organization],
  )
  await world.sql('analyze ingest.receipts')
}, 120_000)
afterAll(async () => {
  await world?.stop()
})

test('the receipts of a provider that seldom delivers are found without reading the others', async () => {
  const plans = await plansOf<DB>(world, { service: 'ingest', organizationId: organization }, (tx) =>
    listReceipts(tx, organization, { provider: 'tavus', limit: 25, offset: 0 }),
  )
  expect(plans).toHaveLength(2)
  for (const plan of plans) expect(plan).toMatchObject({ scanned: [], touched: 3 })
})

test('the count of a list ends', async () => {
  const [, count] = await plansOf<DB>(world, { service: 'ingest', organizationId: organization }, (tx) =>
    listReceipts(tx, organization, { limit: 25, offset: 0 }),
  )
  expect(count?.touched).toBeLessThanOrEqual(10_000)
})
