import { installationId } from '@parley/contracts'
import { migrate, roleOf } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUID, randomUUIDv7 } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { forgetOldSignInsRef } from '../src/db/upkeep.ts'
import { accounts } from '../src/service.ts'
import { tellOfRead } from './told-read.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({
    services: [accounts],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { ACCOUNTS_READS_DAYS: '90' },
  })
})
beforeEach(() => world.settle())
afterAll(async () => {
  await world?.stop()
})

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000)
const monthOf = (at: Date) => `${at.toISOString().slice(0, 7)}-01`

/** A read that was recorded then, with a month of its own, as if we had been there. */
async function readAt(at: Date): Promise<string> {
  const entryId = randomUUID()
  await world.sql(`select accounts.open_month_of_reads($1)`, [monthOf(at)])
  await insert(entryId, at)
  return entryId
}

const insert = (entryId: string, at: Date) =>
  world.sql(
    `insert into accounts.data_access values ($1, $2, 'r', 'key', 'k', null, null, $3, 'GET /v1/x', 'customer', null, 1)`,
    [world.organizationId, entryId, at],
  )

const tableOf = async (entryId: string) =>
  (
    await world.sql<{ place: string }>(`select tableoid::regclass::text as place from accounts.data_access where entry_id = $1`, [
      entryId,
    ])
  ).map(({ place }) => place.replace('accounts.', ''))

async function upkeep(): Promise<void> {
  await world.running.services[0]?.database.commit({ organizationId: installationId }, async (_tx, { later }) =>
    later(forgetOldSignInsRef, {}, { key: 'installation' }),
  )
  await world.settle()
}

/** As the service's own role. */
async function asAccounts<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: world.databaseUrl(roleOf('accounts')) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

test('records of reads are dropped month by month once they are old, and no younger ones', async () => {
  // A month ends up to 31 days after its first read.
  const [old, older] = [await readAt(daysAgo(125)), await readAt(daysAgo(400))]
  const young = [await readAt(daysAgo(89)), await readAt(daysAgo(0))]
  const stray = randomUUID()
  await insert(stray, daysAgo(1_000))
  expect(await tableOf(stray)).toEqual(['data_access_rest'])
  await upkeep()
  for (const entry of [old, older, stray]) expect(await tableOf(entry)).toEqual([])
  for (const entry of young) expect(await tableOf(entry)).toHaveLength(1)
})

test('a read for which no month was ready yet is kept, and moves when there is one', async () => {
  const early = new Date(Date.UTC(new Date().getUTCFullYear() + 1, 5, 15))
  const [entry, other] = [randomUUID(), randomUUID()]
  await insert(entry, early)
  await insert(other, new Date(early.getTime() + 40 * 86_400_000))
  expect(await tableOf(entry)).toEqual(['data_access_rest'])
  await world.sql(`select accounts.open_month_of_reads($1)`, [monthOf(early)])
  expect(await tableOf(entry)).toEqual([`data_access_${early.toISOString().slice(0, 7).replace('-', '')}`])
  expect(await tableOf(other)).toEqual(['data_access_rest'])
})

test('the service may drop nothing of the last 30 days, nor reach a month beside its parent', async () => {
  const entry = await readAt(daysAgo(1))
  const [part] = await tableOf(entry)
  await asAccounts(async (client) => {
    const refused = (statement: string, code: string) =>
      expect(client.query(statement), statement).rejects.toMatchObject({ code })
    await refused('select accounts.keep_months_of_reads(29)', 'P0001')
    await refused(`select accounts.open_month_of_reads('2030-01-01')`, '42501')
    await refused(`select 1 from accounts.${part}`, '42501')
    await refused(`delete from accounts.${part}`, '42501')
    await refused(`drop table accounts.${part}`, '42501')
  })
  expect(await tableOf(entry)).toEqual([part])
})

test('an owner to whom row-level security applies loses nothing and removes all the same', async () => {
  const owner = `reads_owner_${randomUUID().slice(0, 8)}`
  await world.sql(`create role ${owner} nosuperuser nobypassrls`)
  await world.sql(`grant usage, create on schema accounts to ${owner}`)
  const parts = await world.sql<{ name: string }>(
    `select relid::regclass::text as name from pg_partition_tree('accounts.data_access')`,
  )
  for (const { name } of parts) await world.sql(`alter table ${name} owner to ${owner}`)
  for (const signature of ['open_month_of_reads(date)', 'keep_months_of_reads(int)'])
    await world.sql(`alter function accounts.${signature} owner to ${owner}`)

  const early = new Date(Date.UTC(new Date().getUTCFullYear() + 2, 5, 15))
  const [moves, goes] = [randomUUID(), randomUUID()]
  await insert(moves, early)
  await insert(goes, daysAgo(1_000))
  await world.sql(`select accounts.open_month_of_reads($1)`, [monthOf(early)])
  expect(await tableOf(moves)).toEqual([`data_access_${early.toISOString().slice(0, 7).replace('-', '')}`])
  await asAccounts((client) => client.query('select accounts.keep_months_of_reads(90)'))
  expect(await tableOf(goes)).toEqual([])
  const open = await world.sql(
    `select relid::regclass::text from pg_partition_tree('accounts.data_access') t join pg_class c on c.oid = t.relid
     where not (c.relrowsecurity and c.relforcerowsecurity)`,
  )
  expect(open).toEqual([])
  await world.sql(`reassign owned by ${owner} to current_user`)
  await world.sql(`drop owned by ${owner}`)
  await world.sql(`drop role ${owner}`)
})

test('a read that is told twice is one', async () => {
  const requestId = randomUUIDv7()
  await tellOfRead(world, requestId)
  const again = `insert into accounts.data_access select * from accounts.data_access where request_id = $1 on conflict do nothing returning 1`
  expect(await world.sql(again, [requestId])).toEqual([])
})

test('what was recorded before there were months keeps its place in them', async () => {
  const name = `parley_m_${randomUUID().slice(0, 8)}`
  await world.sql(`create database ${name}`)
  const adminUrl = Object.assign(new URL(world.adminUrl), { pathname: `/${name}` }).toString()
  const client = new pg.Client({ connectionString: adminUrl })
  try {
    const service = accounts as unknown as Parameters<typeof migrate>[0]['services'][number]
    const before = service.migrations.slice(
      0,
      service.migrations.findIndex((step) => step.name === '009-months-of-reads'),
    )
    await migrate({ adminUrl, services: [{ ...service, migrations: before }] })
    await client.connect()
    const at = new Date('2026-03-31T23:59:59.999Z')
    await client.query(
      `insert into accounts.data_access values ($1, $1, 'r', 'key', 'k', null, null, $2, 'GET /v1/x', 'customer', null, 1)`,
      [randomUUID(), at],
    )
    await migrate({ adminUrl, services: [service] })
    const { rows } = await client.query(`select tableoid::regclass::text as place, at from accounts.data_access`)
    expect(rows).toEqual([{ place: 'accounts.data_access_202603', at }])
  } finally {
    await client.end()
    await world.sql(`drop database ${name} with (force)`)
  }
})
