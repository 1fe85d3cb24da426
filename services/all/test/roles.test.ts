import { jobSchemaOf, relayRole, roleOf, schemaOf } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

/**
 * One database role per service, as the catalogue has it: a grant that a migration makes too wide is found whatever it is on.
 * What rows a role sees of its own tables is isolation.test.ts's.
 */
let world: World
beforeAll(async () => {
  world = await startWorld({ services: allServices, postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
})
afterAll(async () => {
  await world?.stop()
})

const ownSchemas = (name: string) => [schemaOf(name), jobSchemaOf(name)]
const schemas = allServices.flatMap(({ name }) => ownSchemas(name))

/** What a role may do with the objects of one kind that are in any of these schemas, as `schema.object verb`. */
async function granted(role: string, inSchemas: readonly string[]): Promise<string[]> {
  const rows = await world.sql<{ right: string }>(
    `select n.nspname || ' ' || verb as right from pg_namespace n, unnest(array['usage', 'create']) verb
       where n.nspname = any($2) and has_schema_privilege($1, n.oid, verb)
     union all
     select c.oid::regclass || ' ' || verb from pg_class c join pg_namespace n on n.oid = c.relnamespace,
         unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) verb
       where n.nspname = any($2) and c.relkind in ('r', 'p', 'v', 'm', 'f') and has_table_privilege($1, c.oid, verb)
     union all
     select c.oid::regclass || '.' || a.attname || ' ' || verb from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped, unnest(array['select', 'insert', 'update']) verb
       where n.nspname = any($2) and c.relkind in ('r', 'p', 'v', 'm', 'f') and has_column_privilege($1, c.oid, a.attnum, verb)
         and not has_table_privilege($1, c.oid, verb)
     union all
     select c.oid::regclass || ' ' || verb from pg_class c join pg_namespace n on n.oid = c.relnamespace, unnest(array['usage', 'select', 'update']) verb
       where n.nspname = any($2) and c.relkind = 'S' and has_sequence_privilege($1, c.oid, verb)`,
    [role, inSchemas],
  )
  return rows.map(({ right }) => right)
}

describe.each(allServices.map(({ name }) => [name]))('the role of %s', (name) => {
  const role = roleOf(name)

  test('has its own schema and its jobs’, and may create nothing in them', async () => {
    const rights = await granted(role, ownSchemas(name))
    expect(rights.length).toBeGreaterThan(20)
    expect(rights).toEqual(expect.arrayContaining(ownSchemas(name).map((schema) => `${schema} usage`)))
    expect(rights.filter((right) => /(create|truncate|references|trigger)$/.test(right))).toEqual([])
  })

  test('has no right on any object of another service', async () => {
    const foreign = schemas.filter((schema) => !ownSchemas(name).includes(schema))
    expect(await granted(role, foreign)).toEqual([])
  })

  test('is refused when it tries', async () => {
    const pool = new pg.Pool({ connectionString: world.databaseUrl(role), max: 1 })
    pool.on('error', () => {})
    try {
      for (const schema of schemas.filter((entry) => !ownSchemas(name).includes(entry))) {
        const [table] = await world.sql<{ name: string }>(
          `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1 order by 1 limit 1`,
          [schema],
        )
        const tries = [
          `select * from ${table?.name}`,
          `delete from ${table?.name}`,
          `create table ${schema}.mine ()`,
          `drop schema ${schema} cascade`,
        ]
        for (const text of tries) await expect(pool.query(text), text).rejects.toMatchObject({ code: '42501' })
      }
      for (const text of ['create schema mine', 'create table public.mine ()', 'create role mine', 'create database mine'])
        await expect(pool.query(text), text).rejects.toMatchObject({ code: '42501' })
    } finally {
      await pool.end()
    }
  })
})

test('no role of a service owns anything, is a member of another, or has a function that runs as its owner', async () => {
  const roles = [relayRole, ...allServices.map(({ name }) => roleOf(name))]
  expect(
    await world.sql(
      `select r.rolname, g.rolname as member_of from pg_auth_members m join pg_roles r on r.oid = m.member join pg_roles g on g.oid = m.roleid
       where r.rolname = any($1)`,
      [roles],
    ),
  ).toEqual([])
  expect(
    await world.sql(`select c.oid::regclass from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = any($1)`, [
      roles,
    ]),
  ).toEqual([])
  // Whoever may call such a function may do what its owner may: each is named here, with what keeps it harmless.
  const definers = await world.sql<{ role: string; name: string }>(
    `select r.rolname as role, n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace, pg_roles r
     where p.prosecdef and r.rolname = any($1) and has_function_privilege(r.oid, p.oid, 'execute') and has_schema_privilege(r.oid, n.oid, 'usage')
     order by 1, 2`,
    [roles],
  )
  const upkeep = allServices.map(({ name }) => ({ role: roleOf(name), name: `${schemaOf(name)}.maintain_outbox` }))
  // Drops months of records of reads that are past their time, none that is younger than 30 days.
  const months = { role: roleOf('accounts'), name: 'accounts.keep_months_of_reads' }
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
  expect(definers.toSorted(byName)).toEqual([...upkeep, months].toSorted(byName))
})

test('the relay’s role has no right on the jobs of anybody', async () => {
  expect(
    await granted(
      relayRole,
      allServices.map(({ name }) => jobSchemaOf(name)),
    ),
  ).toEqual([])
})

test('a grant that is too wide is found', async () => {
  const [one, two] = allServices.map(({ name }) => name) as [string, string]
  await world.sql(`grant usage on schema ${schemaOf(two)} to ${roleOf(one)}`)
  await world.sql(`grant select (id) on ${schemaOf(two)}.dead_letters to ${roleOf(one)}`)
  try {
    expect((await granted(roleOf(one), [schemaOf(two)])).toSorted()).toEqual([
      `${schemaOf(two)} usage`,
      `${schemaOf(two)}.dead_letters.id select`,
    ])
  } finally {
    await world.sql(`revoke select (id) on ${schemaOf(two)}.dead_letters from ${roleOf(one)}`)
    await world.sql(`revoke usage on schema ${schemaOf(two)} from ${roleOf(one)}`)
  }
})
