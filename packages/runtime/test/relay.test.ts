import { randomUUIDv7 } from 'node:crypto'
import { expect, inject, test } from 'vitest'
import { insertOutbox, openDatabase, openLog, outboxRow, roleOf, type Session } from '../src/index.ts'
import { startWorld } from '../src/testing/index.ts'
import { counter, counterBumped } from './shop.ts'
import { gate } from './workshop.ts'

test('a relay that meets a new stream skips no event of a transaction that is still open then', async () => {
  const world = await startWorld({
    services: [counter],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    idle: true,
  })
  const database = openDatabase<never>({
    url: world.databaseUrl(roleOf('counter')),
    schema: 'counter',
    applicationName: 'relay-test',
    maxConnections: 2,
    log: openLog({ name: 'test', level: 'silent' }),
  })
  const origin = { organizationId: world.organizationId, correlationId: randomUUIDv7(), causationId: undefined }
  const state = async (session: Session<never>, note: string) =>
    insertOutbox(session, [outboxRow('counter', origin, counterBumped, { counter: note, note })])
  try {
    const begun = gate()
    const late = gate()
    const slow = database.transaction(world.organizationId, async (session) => {
      await state(session, 'older, committed later')
      // An outbox row travels with the next statement: before that it has no place in the order yet.
      await session.query('select 1')
      begun.open()
      await late.opened
    })
    await begun.opened
    await database.transaction(world.organizationId, (session) => state(session, 'younger'))
    const replica = await world.startReplica()
    await expect.poll(() => world.sql('select stream_created from counter.relay_cursor')).not.toEqual([{ stream_created: null }])
    late.open()
    await slow
    await replica.settle()
    const notes = await world.sql<{ note: string }>('select note from counter.notes')
    expect(notes.map((row) => row.note).sort()).toEqual(['older, committed later', 'younger'])
  } finally {
    await database.close()
    await world.stop()
  }
})
