import { laneOf } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../src/testing/index.ts'
import { counter, counterBumped } from './shop.ts'

let world: World
beforeEach(async () => {
  world = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterEach(async () => {
  await world?.stop()
})
const notes = async () =>
  (await world.sql<{ note: string }>(`select note from counter.notes order by place`)).map((row) => row.note)
const dead = () =>
  world.sql<{ id: string; handler: string; state: string; type: string; error: string }>(
    `select id, handler, state, type, error from counter.dead_letters order by type, id`,
  )

/** A row as a version before this one could have written it, or a hand. */
async function inOutbox(key: string, note: string): Promise<string> {
  const id = randomUUIDv7()
  const { organizationId } = world
  const envelope = { id, correlationid: 'c', organizationid: organizationId, subject: key, data: { counter: key, note } }
  await world.sql(
    `insert into counter.outbox (id, organization_id, lane, type, key, correlation_id, envelope) values ($1, $2, $3, $4, $5, 'c', $6)`,
    [id, organizationId, laneOf(organizationId, key), counterBumped.type, key, JSON.stringify(envelope)],
  )
  return id
}

test.each(['é'.repeat(34), '🌹'.repeat(17), '漢'.repeat(23)])(
  'an event whose key no subject can hold is refused before its commit: %s',
  async (key) => {
    await expect(world.state('counter', counterBumped, { counter: key, note: 'never' })).rejects.toThrow(/too long/)
    const answer = await world.call('POST', '/v1/notes', { body: { counter: key, note: 'never' } })
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid', message: expect.stringMatching(/counter .*too long/) } },
    })
    expect(await world.sql('select 1 from counter.outbox')).toEqual([])
  },
)

test.each(['é'.repeat(33), '🌹'.repeat(16), 'a'.repeat(100)])('a key just short enough is published: %s', async (key) => {
  await world.state('counter', counterBumped, { counter: key, note: 'heard' })
  await world.settle()
  expect(await notes()).toEqual(['heard'])
})

test.each([
  ['a key that is too long', 'é'.repeat(34), 'x'],
  ['more bytes than the broker takes', 'large', 'x'.repeat(2 * 1024 * 1024)],
])('a row that can never be published (%s) becomes a dead letter of its own, and the relay goes on', async (_what, key, note) => {
  await world.state('counter', counterBumped, { counter: 'before', note: 'before' })
  const id = await inOutbox(key, note)
  await world.state('counter', counterBumped, { counter: 'after', note: 'after' }, { organizationId: world.otherOrganizationId })
  await world.settle()
  // Two keys: neither waits for the other.
  expect((await notes()).sort()).toEqual(['after', 'before'])
  expect(await dead()).toMatchObject([{ id, handler: 'relay', state: 'dead', type: 'counter.bumped' }])
})

test('what was given up of the outbox stays given up when the stream is filled again, and can be tried again', async () => {
  const id = await inOutbox('é'.repeat(34), 'x')
  await expect.poll(dead, { timeout: 10_000 }).toMatchObject([{ id, state: 'dead' }])
  expect(await world.call('POST', `/v1/ops/counter/dead-letters/${id}/redrive`)).toMatchObject({ status: 200 })
  await world.settle()
  expect(await dead()).toMatchObject([{ id, state: 'dead' }])
  expect(await world.call('POST', `/v1/ops/counter/dead-letters/${id}/drop`)).toMatchObject({ status: 200 })
  await world.sql(`update counter.relay_cursor set stream_created = 'another'`)
  await world.restart()
  await world.state('counter', counterBumped, { counter: 'k', note: 'after' })
  await world.settle()
  expect(await notes()).toEqual(['after'])
  expect(await dead()).toMatchObject([{ id, state: 'dropped' }])
})

test('publishing again what the outbox keeps passes over what can never be published', async () => {
  await world.state('counter', counterBumped, { counter: 'k', note: 'good' })
  await inOutbox('é'.repeat(34), 'x')
  await expect.poll(dead, { timeout: 10_000 }).toHaveLength(1)
  const answer = await world.call('POST', '/v1/ops/counter/replay', { body: { since: new Date(0).toISOString() } })
  expect(answer).toMatchObject({ status: 200, body: { more: false } })
})
