import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { OpsTx } from '../src/ops-app.ts'
import { listChainDeadLetters, listChainEffects, listChainEvents, listChainJobs } from '../src/ops-trace-rows.ts'
import { plansOf, startWorld, type World } from '../src/testing/index.ts'
import { workshop } from './workshop.ts'

const many = 40_000
let world: World
const organizationId = randomUUID()
const correlation = `case when n % 20000 = 0 then 'ours' else n::text end`
beforeAll(async () => {
  world = await startWorld({ services: [workshop], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  const from = `from generate_series(1, ${many}) n`
  const schema = workshop.name
  await world.sql(
    `insert into ${schema}.effects (organization_id, effect_key, kind, target, state, request_sha256, correlation_id)
     select $1, n::text, 'k', 't', 'confirmed', 'h', ${correlation} ${from}`,
    [organizationId],
  )
  await world.sql(
    `insert into ${schema}.dead_letters (organization_id, id, kind, handler, key, event_id, type, payload, state, correlation_id)
     select $1, gen_random_uuid(), 'job', 'h', 'k', 'e', 't', '{}', 'dropped', ${correlation} ${from}`,
    [organizationId],
  )
  await world.sql(
    `insert into ${schema}.outbox (id, organization_id, lane, type, key, envelope, correlation_id)
     select gen_random_uuid(), $1, 0, 't', 'k', '{}', ${correlation} ${from}`,
    [organizationId],
  )
  await world.sql(
    `insert into ${schema}_jobs.job_common (name, state, data)
     select 'standard-work', 'completed', jsonb_build_object('organizationId', $1::text, 'correlationId', ${correlation}) ${from}`,
    [organizationId],
  )
  await world.sql(`analyze ${schema}.effects, ${schema}.dead_letters, ${schema}.outbox, ${schema}_jobs.job_common`)
}, 120_000)
afterAll(async () => {
  await world?.stop()
})

test('one causal chain is told without reading what else was ever done', async () => {
  const chain = { organizationId, correlationId: 'ours' }
  const plans = await plansOf(world, { service: workshop.name, organizationId }, async (tx: OpsTx) => {
    await listChainEvents(tx, chain)
    await listChainJobs(tx, workshop.name, chain)
    await listChainEffects(tx, chain)
    await listChainDeadLetters(tx, chain)
  })
  expect(plans).toHaveLength(4)
  for (const { touched } of plans) expect(touched).toBeLessThanOrEqual(10)
})
