import { installationId } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { forgetReceiptsRef } from '../src/db/upkeep.ts'
import { firstIdAt } from '../src/rules/receipt-age.ts'
import { ingest } from '../src/service.ts'
import { openDoor, post, whapiMessage } from './door.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({
    services: [ingest],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { INGEST_RECEIPT_DAYS: '30' },
  })
  // The service looks for old receipts as it starts: that look must not meet those that are aged here.
  await world.settle()
})
afterAll(async () => {
  await world?.stop()
})

/** A receipt as if it had come that many days ago. */
async function age(receiptId: string, days: number): Promise<string> {
  const at = new Date(Date.now() - days * 86_400_000)
  const id = firstIdAt(at).slice(0, 18) + receiptId.slice(18)
  await world.sql(`update ingest.receipts set id = $2, received_at = $3 where id = $1`, [receiptId, id, at])
  await world.sql(`update ingest.receipt_items set receipt_id = $2 where receipt_id = $1`, [receiptId, id])
  await world.sql(`update ingest.duplicate_items set receipt_id = $2 where receipt_id = $1`, [receiptId, id])
  return id
}

async function forget(): Promise<void> {
  await world.running.services[0]?.database.commit({ organizationId: installationId }, async (_tx, { later }) =>
    later(forgetReceiptsRef, { after: null }, { key: 'installation' }),
  )
  await world.settle()
}

const ids = async (table: string, column = 'id') =>
  (await world.sql<{ id: string }>(`select distinct ${column} as id from ingest.${table}`)).map(({ id }) => id).toSorted()

test('receipts are removed with all that they hold once they are old, those of every organization, and no younger ones', async () => {
  const send = async (key: string, name: string, text: string) => {
    const door = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name }, key)
    const headers = { [door.header?.name as string]: door.header?.value as string }
    return async (id: string) => (await post(world, door.path, JSON.stringify(whapiMessage(id, text)), headers)).body.receiptId
  }
  const [mine, theirs] = [await send(world.key, 'mine', 'secret'), await send(world.otherKey, 'theirs', 'secret')]
  const old = [await age(await mine('a'), 31), await age(await theirs('a'), 400)]
  const repeated = await age(await mine('a'), 31)
  const young = [await age(await mine('b'), 29), await theirs('b')].toSorted()
  expect(await ids('receipts')).toEqual([...old, repeated, ...young].toSorted())
  expect(await ids('duplicate_items', 'receipt_id')).toEqual([repeated])

  await forget()
  expect(await ids('receipts')).toEqual(young)
  expect(await ids('receipt_items', 'receipt_id')).toEqual(young)
  expect(await ids('duplicate_items', 'receipt_id')).toEqual([])
  // What is left can be read again.
  expect((await world.call('POST', `/v1/receipts/${young[0]}/replay`)).status).toBe(200)
  expect((await world.call('POST', `/v1/receipts/${old[0]}/replay`)).status).toBe(404)
})

test('of more than one chunk nothing stays', async () => {
  const [source] = await world.sql<{ organizationId: string; id: string }>(
    `select organization_id as "organizationId", id from ingest.webhook_sources limit 1`,
  )
  const before = { receipts: await ids('receipts'), items: await ids('receipt_items', 'receipt_id') }
  await world.sql(
    `insert into ingest.receipts (organization_id, id, source_id, provider, topic, state, headers, body, body_sha256, size, event_count, correlation_id, received_at)
     select $1, ('017f22e2-79b0-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2, 'whapi', 'messages.post', 'done', '{}', 'x', '', 1, 1, '', '2022-02-22'
     from generate_series(1, 501) n`,
    [source?.organizationId, source?.id],
  )
  await world.sql(
    `insert into ingest.receipt_items (organization_id, source_id, item_key, receipt_id)
     select organization_id, source_id, 'old ' || id || ' ' || n, id from ingest.receipts, generate_series(1, 9) n where received_at < '2022-03-01'`,
  )
  await forget()
  expect({ receipts: await ids('receipts'), items: await ids('receipt_items', 'receipt_id') }).toEqual(before)
  // Asked for again by itself, a day from now.
  const waiting = await world.sql<{ hours: number }>(
    `select round(extract(epoch from start_after - now()) / 3600)::int as hours from ingest_jobs.job_common
     where name = 'forget-receipts' and state = 'created'`,
  )
  expect(waiting).toEqual([{ hours: 24 }])
})
