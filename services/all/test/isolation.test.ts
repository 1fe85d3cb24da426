import { relayRole, roleOf } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'
import { full, insertSql, plant, readCatalogue, schemas, type Table } from './catalogue.ts'

/**
 * Every table is found in the catalogue, so that a new one is tested without anybody remembering it (reliability.md D25): two
 * organizations with a row in each, and every service role tries to reach the other's.
 */
let world: World
let tables: Table[]
const pools = new Map<string, pg.Pool>()
const roles = allServices.map((service) => roleOf(service.name))

beforeAll(async () => {
  world = await startWorld({ services: allServices, postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  for (const role of [...roles, relayRole]) {
    const pool = new pg.Pool({ connectionString: world.databaseUrl(role), max: 1 })
    // The database is dropped under the last of them: what an idle connection says to that is no failure of a test.
    pool.on('error', () => {})
    pools.set(role, pool)
  }
  tables = await readCatalogue(world)
  for (const table of tables.filter((entry) => entry.tenant)) {
    for (const organization of [world.organizationId, world.otherOrganizationId]) await plant(world, table, organization)
  }
})
afterAll(async () => {
  for (const pool of pools.values()) await pool.end()
  await world?.stop()
})

const tenants = () => tables.filter((table) => table.tenant)
const ownerOf = (table: Table) => `parley_${table.schema}`

type Seen = { rows: Record<string, unknown>[]; count: number } | { code: string }

/** Runs SQL as a role; `organization` null leaves the setting unset. Answers rows and their number, or the SQLSTATE. */
async function as(role: string, organization: string | null, text: string): Promise<Seen> {
  const pool = pools.get(role)
  if (!pool) throw new Error(`no pool for ${role}`)
  const client = await pool.connect()
  try {
    await client.query('begin')
    if (organization !== null) await client.query(`select set_config('app.organization_id', $1, true)`, [organization])
    const result = await client.query(text)
    return { rows: result.rows, count: result.rowCount ?? 0 }
  } catch (error) {
    return { code: (error as { code: string }).code }
  } finally {
    await client.query('rollback')
    client.release()
  }
}

describe('in every table with an organization', () => {
  test('there are rows of both to be found', async () => {
    expect(tenants().length).toBeGreaterThan(20)
    for (const table of tenants()) {
      const seen = await world.sql<{ count: number }>(`select count(distinct organization_id)::int as count from ${full(table)}`)
      expect(seen[0]?.count, full(table)).toBe(2)
    }
  })

  test('a service sees its own organization’s rows and no other', async () => {
    for (const table of tenants()) {
      const seen = await as(ownerOf(table), world.organizationId, `select distinct organization_id from ${full(table)}`)
      expect(seen, full(table)).toMatchObject({ rows: [{ organization_id: world.organizationId }] })
    }
  })

  test('updates and deletes of another organization’s rows change nothing', async () => {
    for (const table of tenants()) {
      const theirs = `where organization_id = '${world.otherOrganizationId}'`
      const update = await as(
        ownerOf(table),
        world.organizationId,
        `update ${full(table)} set organization_id = organization_id ${theirs}`,
      )
      const removal = await as(ownerOf(table), world.organizationId, `delete from ${full(table)} ${theirs}`)
      // What is only added to is granted neither.
      const nothing = table.appendOnly ? { code: '42501' } : { count: 0 }
      expect(update, full(table)).toMatchObject(nothing)
      expect(removal, full(table)).toMatchObject(nothing)
    }
  })

  test('an insert for another organization, or a move to it, is refused', async () => {
    for (const table of tenants()) {
      const insert = await as(ownerOf(table), world.organizationId, insertSql(table, world.otherOrganizationId))
      expect(insert, full(table)).toEqual({ code: '42501' })
      const move = await as(
        ownerOf(table),
        world.organizationId,
        `update ${full(table)} set organization_id = '${world.otherOrganizationId}'`,
      )
      // An append-only table refuses any update by a trigger of its own, before row-level security is asked.
      expect(move, full(table)).toMatchObject({ code: expect.stringMatching(/^(42501|P0001)$/) })
    }
  })

  test('without the setting, or with an empty one, there is nothing to see and nothing to write', async () => {
    for (const table of tenants()) {
      for (const setting of [null, '']) {
        expect(await as(ownerOf(table), setting, `select 1 from ${full(table)}`), full(table)).toMatchObject({ count: 0 })
        expect(await as(ownerOf(table), setting, insertSql(table, world.organizationId)), full(table)).toEqual({ code: '42501' })
      }
      expect(await as(ownerOf(table), 'garbage', `select 1 from ${full(table)}`), full(table)).toEqual({ code: '22P02' })
    }
  })

  test('another service’s role reaches nothing at all', async () => {
    for (const table of tables) {
      for (const role of roles.filter((entry) => entry !== ownerOf(table))) {
        expect(await as(role, world.organizationId, `select 1 from ${full(table)}`), `${role} on ${full(table)}`).toEqual({
          code: '42501',
        })
      }
    }
  })

  test('the relay’s role reads outboxes and dead letters, and nothing else of an organization', async () => {
    for (const table of tenants()) {
      const seen = await as(relayRole, null, `select count(distinct organization_id)::int as organizations from ${full(table)}`)
      const open = table.name === 'outbox' || table.name === 'dead_letters'
      expect(seen, full(table)).toMatchObject(open ? { rows: [{ organizations: 2 }] } : { code: '42501' })
      expect(await as(relayRole, null, `delete from ${full(table)}`), full(table)).toEqual({ code: '42501' })
    }
  })

  test('a role cannot become another one, nor leave row-level security (A32)', async () => {
    for (const role of roles) {
      for (const other of [...roles, relayRole].filter((entry) => entry !== role)) {
        expect(await as(role, null, `set role ${other}`), `${role} as ${other}`).toEqual({ code: '42501' })
      }
      expect(await as(role, null, `alter role ${role} bypassrls`)).toEqual({ code: '42501' })
    }
    const special = await world.sql(
      `select rolname from pg_roles where rolname = any($1) and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)`,
      [[...roles, relayRole]],
    )
    expect(special).toEqual([])
  })

  test('the setting of one transaction is gone in the next on the same connection', async () => {
    for (const table of tenants().slice(0, 5)) {
      await as(ownerOf(table), world.organizationId, `select 1 from ${full(table)}`)
      expect(await as(ownerOf(table), null, `select 1 from ${full(table)}`), full(table)).toMatchObject({ count: 0 })
    }
  })
})

describe('the catalogue', () => {
  test('forces row-level security on every table and partition with an organization', async () => {
    const bare = await world.sql(
      `select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = any($1) and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
         and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped)`,
      [schemas],
    )
    expect(bare).toEqual([])
  })

  test('has no foreign key that could point into another organization', async () => {
    const loose = await world.sql(
      `select k.conrelid::regclass::text as table, k.conname from pg_constraint k
       join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
       where k.contype = 'f' and n.nspname = any($1)
         and exists (select 1 from pg_attribute a where a.attrelid in (k.conrelid, k.confrelid) and a.attname = 'organization_id' and not a.attisdropped)
         and not exists (
         select 1 from unnest(k.conkey) key join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key where a.attname = 'organization_id')`,
      [schemas],
    )
    expect(loose).toEqual([])
  })

  test('starts every unique key of a tenant table with the organization', async () => {
    const loose = await world.sql<{ index: string }>(
      `select i.indexrelid::regclass::text as index from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = any($1) and i.indisunique and not c.relispartition
         and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped)
         and not exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attnum = i.indkey[0] and a.attname = 'organization_id')`,
      [schemas],
    )
    // An outbox id is a random UUID of ours: a clash tells nothing about another organization.
    expect(loose.map((row) => row.index).filter((index) => !index.endsWith('.outbox_pkey'))).toEqual([])
  })

  test('gives nobody a right on a partition itself', async () => {
    const granted = await world.sql(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) as acl
       join pg_roles r on r.oid = acl.grantee where c.relispartition and n.nspname = any($1) and r.rolname = any($2)`,
      [schemas, [...roles, relayRole]],
    )
    expect(granted).toEqual([])
  })

  test('knows no materialized view and lets no role truncate', async () => {
    expect(await world.sql(`select matviewname from pg_matviews where schemaname = any($1)`, [schemas])).toEqual([])
    for (const table of tables)
      expect(await as(ownerOf(table), null, `truncate ${full(table)}`), full(table)).toEqual({ code: '42501' })
  })
})
