import { sql } from 'kysely'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Database, openDatabase, openLog, roleOf } from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { counter, type CounterTables } from './shop.ts'

// Attack A32 on the one connection that every request of this file shares: nothing of one request may be left for the next.
let world: World
let database: Database<CounterTables>
beforeAll(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
  database = openDatabase<CounterTables>({
    url: world.databaseUrl(roleOf('counter')),
    schema: 'counter',
    applicationName: 'isolation-test',
    maxConnections: 1,
    log: openLog({ name: 'test', level: 'silent' }),
  })
  await add(world.organizationId, 'mine')
  await add(world.otherOrganizationId, 'CANARY')
})
afterAll(async () => {
  await database?.close()
  await world?.stop()
})

function add(organizationId: string, note: string) {
  return database.transaction(organizationId, ({ tx }) =>
    tx.insertInto('notes').values({ organizationId, id: randomUUIDv7(), counter: 'c', note, by: 'test' }).execute(),
  )
}
const seen = (organizationId: string | null) =>
  database.transaction(organizationId, async ({ tx }) => {
    const rows = await tx.selectFrom('notes').select('note').where('counter', '=', 'c').execute()
    return rows.map((row) => row.note)
  })

describe('the organization of one request', () => {
  test('is gone when the next begins on the same connection', async () => {
    const pids = new Set<unknown>()
    for (let i = 0; i < 5; i++) {
      expect(await seen(world.organizationId)).toEqual(['mine'])
      expect(await seen(null)).toEqual([])
      expect(await seen(world.otherOrganizationId)).toEqual(['CANARY'])
      expect(await database.query(`select note from notes`)).toEqual([])
      for (const row of await database.query<{ pid: number }>('select pg_backend_pid() as pid')) pids.add(row.pid)
    }
    expect(pids.size).toBe(1)
  })

  test('is gone after a request that threw, or whose statement failed', async () => {
    const mine = world.organizationId
    await expect(database.transaction(mine, async () => Promise.reject(new Error('ours')))).rejects.toThrow('ours')
    expect(await seen(null)).toEqual([])
    await expect(database.transaction(mine, ({ tx }) => sql`select 1/0`.execute(tx))).rejects.toMatchObject({ code: '22012' })
    expect(await seen(null)).toEqual([])
    expect(await seen(world.otherOrganizationId)).toEqual(['CANARY'])
  })

  test('allows no row of another one: neither read, nor changed, nor written, nor taken along', async () => {
    const other = world.otherOrganizationId
    await database.transaction(world.organizationId, async ({ tx }) => {
      expect(await tx.selectFrom('notes').select('note').where('organizationId', '=', other).execute()).toEqual([])
      expect(
        (await tx.updateTable('notes').set({ note: 'x' }).where('organizationId', '=', other).executeTakeFirst()).numUpdatedRows,
      ).toBe(0n)
      expect((await tx.deleteFrom('notes').where('organizationId', '=', other).executeTakeFirst()).numDeletedRows).toBe(0n)
    })
    const row = { id: randomUUIDv7(), counter: 'c', note: 'planted', by: 'test' }
    await expect(
      database.transaction(world.organizationId, ({ tx }) =>
        tx
          .insertInto('notes')
          .values({ ...row, organizationId: other })
          .execute(),
      ),
    ).rejects.toMatchObject({ code: '42501' })
    await expect(
      database.transaction(world.organizationId, ({ tx }) => tx.updateTable('notes').set({ organizationId: other }).execute()),
    ).rejects.toMatchObject({ code: '42501' })
    expect(await seen(other)).toEqual(['CANARY'])
  })

  test('when there is none: no row is seen and none can be written', async () => {
    expect(await seen(null)).toEqual([])
    await expect(
      database.transaction(null, ({ tx }) =>
        tx
          .insertInto('notes')
          .values({ organizationId: world.organizationId, id: randomUUIDv7(), counter: 'c', note: 'nobody’s', by: 'test' })
          .execute(),
      ),
    ).rejects.toMatchObject({ code: '42501' })
  })

  test.each([
    '',
    'garbage',
    '*',
    "'; select set_config('app.organization_id', 'x', true); --",
    '00000000-0000-0000-0000-00000000000g',
    `${randomUUIDv7()}\n`,
  ])('is refused when it is %j', async (garbage) => {
    await expect(seen(garbage)).rejects.toThrow('An organization id must be a UUID.')
    await expect(
      database.transaction(null, async ({ tx, useOrganization }) => {
        useOrganization(garbage)
        return tx.selectFrom('notes').select('note').execute()
      }),
    ).rejects.toThrow('An organization id must be a UUID.')
    expect(await seen(world.otherOrganizationId)).toEqual(['CANARY'])
  })

  test('changes only when the runtime says so, within one transaction', async () => {
    const notes = await database.transaction(world.organizationId, async ({ tx, useOrganization }) => {
      const first = await tx.selectFrom('notes').select('note').where('counter', '=', 'c').execute()
      useOrganization(world.otherOrganizationId)
      return [...first, ...(await tx.selectFrom('notes').select('note').where('counter', '=', 'c').execute())]
    })
    expect(notes.map((row) => row.note)).toEqual(['mine', 'CANARY'])
    expect(await seen(null)).toEqual([])
  })
})

describe('text from a caller', () => {
  test('that looks like a change of organization is only text', async () => {
    const attack = `'); select set_config('app.organization_id', '${world.otherOrganizationId}', false); --`
    await database.transaction(world.organizationId, async ({ tx }) => {
      await tx
        .insertInto('notes')
        .values({ organizationId: world.organizationId, id: randomUUIDv7(), counter: attack, note: attack, by: 'test' })
        .execute()
      const rows = await tx.selectFrom('notes').select(['note']).where('counter', '=', attack).execute()
      expect(rows).toEqual([{ note: attack }])
      expect(await tx.selectFrom('notes').select('note').where('note', '=', 'CANARY').execute()).toEqual([])
    })
    expect(await seen(null)).toEqual([])
  })
})

describe('the role of a service', () => {
  test.each([
    ['become the relay', 'set role parley_relay', '42501'],
    ['become the superuser', `set role ${new URL(inject('postgresUrl')).username}`, '42501'],
    ['switch row-level security off', 'alter table notes disable row level security', '42501'],
    ['drop a policy', 'drop policy organization on notes', '42501'],
    ['give itself BYPASSRLS', 'alter role current_user bypassrls', '42501'],
    ['read another schema’s secrets', 'select * from pg_authid', '42501'],
    ['run a program', `copy (select 1) to program 'true'`, '42501'],
  ])('cannot %s', async (_what, statement, code) => {
    await expect(database.transaction(world.organizationId, ({ tx }) => sql.raw(statement).execute(tx))).rejects.toMatchObject({
      code,
    })
    expect(await seen(world.organizationId)).toEqual(['mine'])
  })
})

describe('several statements in one text', () => {
  test('work every time, not only before the text is prepared: pg-boss’ upkeep sends such, and without it no dead worker is noticed', async () => {
    for (let i = 0; i < 4; i++) {
      expect(await database.query('begin; select 1 as n; select 2 as n; commit')).toEqual([{ n: 1 }, { n: 2 }])
    }
  })
})

describe('a transaction that failed', () => {
  test('is reported even when the failing statement’s error was swallowed: nothing of it is kept', async () => {
    const work = database.transaction(world.organizationId, async ({ tx }) => {
      await tx
        .insertInto('notes')
        .values({ organizationId: world.organizationId, id: randomUUIDv7(), counter: 'swallowed', note: 'x', by: 'test' })
        .execute()
      await sql`select 1/0`.execute(tx).catch(() => 'swallowed')
      return 'all well'
    })
    await expect(work).rejects.toThrow('The transaction was rolled back although no statement of it reported an error.')
    expect(await world.sql(`select 1 from counter.notes where counter = 'swallowed'`)).toEqual([])
    expect(await seen(world.organizationId)).toEqual(['mine'])
  })

  test('because its backend was ended does not poison the pool', async () => {
    const work = database.transaction(world.organizationId, async ({ tx, query }) => {
      const [row] = await query<{ pid: number }>('select pg_backend_pid() as pid')
      await world.sql('select pg_terminate_backend($1)', [row?.pid])
      return tx.selectFrom('notes').select('note').execute()
    })
    await expect(work).rejects.toThrow()
    expect(await seen(world.organizationId)).toEqual(['mine'])
    expect(await seen(null)).toEqual([])
  })

  test('cannot hold another one inside', async () => {
    await expect(
      database.transaction(world.organizationId, ({ tx }) => tx.transaction().execute(async () => 'inner')),
    ).rejects.toThrow('cannot hold another')
  })
})
