import { sql } from 'kysely'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../src/testing/index.ts'
import { counter } from './shop.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

test('statements that are not awaited one by one reach Postgres in the order in which they were made, whatever makes them', async () => {
  const database = world.running.services[0]?.database
  for (let round = 0; round < 20; round++) {
    await database?.commit({ organizationId: world.organizationId }, async (untyped) => {
      const tx = untyped as unknown as import('kysely').Kysely<{
        notes: {
          organizationId: string
          id: string
          counter: string
          note: string
          by: string
          place: import('kysely').GeneratedAlways<string>
        }
      }>
      const add = (note: string) => ({
        organizationId: world.organizationId,
        id: crypto.randomUUID(),
        counter: `round ${round}`,
        note,
        by: 'test',
      })
      const raw = (note: string) =>
        sql`insert into notes (organization_id, id, counter, note, by) values (${world.organizationId}, ${crypto.randomUUID()}, ${`round ${round}`}, ${note}, 'test')`.execute(
          tx,
        )
      await Promise.all([
        tx.insertInto('notes').values(add('1')).execute(),
        raw('2'),
        tx.insertInto('notes').values(add('3')).returning('id').executeTakeFirst(),
        raw('4'),
        tx.updateTable('notes').set({ by: 'seen 4' }).where('note', '=', '4').where('counter', '=', `round ${round}`).execute(),
      ])
    })
  }
  const rows = await world.sql<{ notes: string; seen: number }>(
    `select string_agg(note, '' order by place) as notes, count(*) filter (where by = 'seen 4')::int as seen from counter.notes group by counter`,
  )
  expect(rows).toHaveLength(20)
  for (const row of rows) expect(row).toEqual({ notes: '1234', seen: 1 })
})

test('the first failure is the reason, not what it did to the statements behind it', async () => {
  const failing = world.running.services[0]?.database.commit({ organizationId: world.organizationId }, async (tx) => {
    await Promise.all([sql`select 1 / 0`.execute(tx), sql`select 1`.execute(tx)])
  })
  await expect(failing).rejects.toMatchObject({ code: '22012' })
  const after = await world.running.services[0]?.database.read(world.organizationId, (tx) =>
    sql<{ one: number }>`select 1 as one`.execute(tx),
  )
  expect(after?.rows).toEqual([{ one: 1 }])
})
