import { randomUUIDv7 } from 'node:crypto'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { openDatabase, openLog, roleOf } from '../src/index.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { counter } from './shop.ts'

let world: World
beforeEach(async () => {
  // Without a running service: its own upkeep, at its start, would come between.
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
})
afterEach(async () => {
  await world?.stop()
})

const partitions = async () =>
  (
    await world.sql<{ name: string }>(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'counter.outbox'::regclass order by 1`,
    )
  ).map((row) => row.name)
const inRest = () => world.sql<{ key: string }>('select key from counter.outbox_rest order by seq')

/** As the service does it each hour, with its own role. */
async function keep(): Promise<void> {
  const log = openLog({ name: 'test', level: 'silent' })
  const url = world.databaseUrl(roleOf('counter'))
  const database = openDatabase<never>({ schema: 'counter', url, applicationName: 'test', maxConnections: 1, log })
  try {
    await database.query('select maintain_outbox($1)', [7])
  } finally {
    await database.close()
  }
}

const stray = (key: string, at: string) =>
  world.sql(
    `insert into counter.outbox (id, organization_id, lane, type, key, correlation_id, envelope, created_at) values ($1, $2, 0, 'counter.bumped', $3, 'c', '{}', ${at})`,
    [randomUUIDv7(), world.organizationId, key],
  )

test('events stated while their day had no partition move into it when it is made, and nothing of them is lost', async () => {
  const whole = await partitions()
  // A long stop: the days that were made in advance have passed.
  for (const name of whole.filter((part) => part !== 'outbox_rest')) await world.sql(`drop table counter.${name}`)
  for (let i = 0; i < 5; i++) await stray('k', 'now()')
  await stray('of tomorrow', `now() + interval '1 day'`)
  expect(await inRest()).toHaveLength(6)
  await keep()
  expect(await inRest()).toEqual([])
  expect(await partitions()).toEqual(whole)
  expect(await world.sql(`select key from counter.outbox where key = 'k'`)).toHaveLength(5)
  await stray('k', 'now()')
  expect(await inRest()).toEqual([])
  const secured = await world.sql(
    `select relname, relrowsecurity, relforcerowsecurity from pg_class where relname ~ '^outbox_' and relkind = 'r' and relnamespace = 'counter'::regnamespace and not (relrowsecurity and relforcerowsecurity)`,
  )
  expect(secured).toEqual([])
})

test('what lies in the default partition for longer than the outbox keeps is forgotten, and what is not stays', async () => {
  await stray('old', `now() - interval '9 days'`)
  await stray('recent', `now() - interval '2 days'`)
  await stray('by a clock that jumped', `now() + interval '400 days'`)
  await keep()
  expect((await inRest()).map((row) => row.key).sort()).toEqual(['by a clock that jumped', 'recent'])
})
