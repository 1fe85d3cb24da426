import { migrate, type Route } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'
import { schemas } from './catalogue.ts'
import { sampleOf } from './sample-of.ts'

type AnyRoute = Route<never, never>
let world: World
let hook: { path: string; headers: Record<string, string> }

beforeAll(async () => {
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
      // Nobody answers there: no model is asked in this test.
      MODEL_SIMULATOR_URL: 'http://127.0.0.1:9/v1',
    },
  })
  // Events, jobs and the outboxes are shared between the two.
  await world.startReplica()
  const { organizationId } = world
  const founded = await world.call('POST', '/v1/operator/organizations', {
    body: { organizationId, name: 'Shop', ownerEmail: 'owner@example.com' },
  })
  expect(founded.status).toBe(200)
  const { body: source } = await world.call('POST', '/v1/webhook-sources', {
    body: { provider: 'whapi', accountId: 'PHONE-1', name: 'phone' },
  })
  hook = { path: source.path, headers: { [source.header.name]: source.header.value } }
}, 60_000)
afterAll(async () => {
  await world?.stop()
})

/** Of every table and partition's parent, also those of the jobs. */
const tables = () =>
  world.sql<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition and c.relname not like 'kysely%' order by 1`,
    [schemas.flatMap((schema) => [schema, `${schema}_jobs`])],
  )

/** Beside the traffic, as a migration does it: it waits for no lock longer than those behind it can bear. */
async function addColumnTo(names: readonly string[], column: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.adminUrl, options: '-c lock_timeout=200' })
  await client.connect()
  try {
    for (const name of names) {
      for (let added = false; !added; ) {
        added = await client.query(`alter table ${name} add column ${column} text default 'new'`).then(
          () => true,
          (error: { code?: string }) => {
            if (error.code !== '55P03' && error.code !== '40P01') throw error
            return false
          },
        )
      }
    }
  } finally {
    await client.end()
  }
}

let sent = 0
const message = () => ({
  messages: [
    {
      id: `m-${++sent}`,
      type: 'text',
      chat_id: `3361234${String(sent).padStart(4, '0')}@s.whatsapp.net`,
      from_me: false,
      from: `3361234${String(sent).padStart(4, '0')}`,
      from_name: 'Zoé',
      timestamp: Math.floor(Date.now() / 1_000),
      source: 'mobile',
      text: { body: 'Bonjour' },
    },
  ],
  event: { type: 'messages', event: 'post' },
  channel_id: 'PHONE-1',
})

/** Streams do not end, and what runs the installation or sends mails is no matter of every round. */
const isCalled = ({ method, path }: AnyRoute) => method === 'GET' || (method === 'PUT' && path === '/v1/channels/:accountId')

/** Every route that reads and some that write, once; answers those that failed through our fault. */
async function round(): Promise<string[]> {
  const failed: string[] = []
  for (const route of (world.running.routes as AnyRoute[]).filter(isCalled)) {
    const id = randomUUIDv7()
    const path = route.path.replace(/:[A-Za-z]+/g, (name) => (name === ':organizationId' ? world.organizationId : id))
    const query = route.query === undefined ? {} : (sampleOf(route.query, id) as Record<string, unknown>)
    const needed = route.query?.safeParse({}).success ? {} : query
    const search = new URLSearchParams(
      Object.fromEntries(Object.entries(needed).map(([name, value]) => [name, String(value)])),
    ).toString()
    const body = route.method === 'GET' ? undefined : { token: 'a-token-of-ours' }
    const { status } = await world.call(route.method, search === '' ? path : `${path}?${search}`, { body })
    if (status >= 500) failed.push(`${route.method} ${route.path}: ${status}`)
  }
  const taken = await world.call('POST', hook.path, { key: null, headers: hook.headers, body: message() })
  if (taken.status >= 500) failed.push(`webhook: ${taken.status}`)
  return failed
}

test('a column may be added to every table while calls run: none fails, and every event is handled', async () => {
  const names = (await tables()).map(({ name }) => name)
  expect(names.length).toBeGreaterThan(50)
  const failed: string[] = []
  const rounds = async (times: number) => {
    for (let i = 0; i < times; i++) failed.push(...(await round()))
  }
  // Each statement has been prepared on each connection of its pool by then.
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => rounds(3)))
  let adding = true
  const traffic = (async () => {
    while (adding) await Promise.all([1, 2, 3, 4].map(() => rounds(1)))
  })()
  await addColumnTo(names, 'added_under_traffic')
  adding = false
  await traffic
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => rounds(2)))
  expect(failed).toEqual([])
  await expect
    .poll(() => world.sql(`select count(*)::int as count from inbox.messages where sender = 'user'`), { timeout: 30_000 })
    .toEqual([{ count: sent }])
  for (const schema of schemas) expect(await world.sql(`select state, error from ${schema}.dead_letters`)).toEqual([])
}, 300_000)

test('a migration that waits for a table lets its traffic pass, and goes on when it is free', async () => {
  const holder = new pg.Client({ connectionString: world.adminUrl })
  await holder.connect()
  try {
    // As a long report would: readers share it, whoever changes the table waits.
    await holder.query('begin; lock table inbox.customers in access share mode')
    const migrating = migrate({ adminUrl: world.adminUrl, services: allServices as never })
    await expect
      .poll(() => world.sql(`select 1 from pg_locks where not granted and relation = 'inbox.customers'::regclass`), {
        interval: 5,
        timeout: 30_000,
      })
      .not.toEqual([])
    for (let i = 0; i < 5; i++) expect(await world.call('GET', '/v1/customers')).toMatchObject({ status: 200 })
    await holder.query('rollback')
    await migrating
  } finally {
    await holder.end()
  }
}, 60_000)
