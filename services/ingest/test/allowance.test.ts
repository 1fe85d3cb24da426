import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { openDoor, post, whapiMessage } from './door.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({
    services: [ingest],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { INGEST_SOURCE_MESSAGES_PER_MINUTE: '5', INGEST_ORGANIZATION_MESSAGES_PER_MINUTE: '8' },
  })
})
afterAll(async () => {
  await world?.stop()
})

async function sender(name: string, key = world.key) {
  const door = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name }, key)
  const headers = { [door.header?.name as string]: door.header?.value as string }
  return async (id: string, more: Record<string, string> = headers) =>
    post(world, door.path, JSON.stringify(whapiMessage(`${name}-${id}`, 'x')), more)
}

test('a source that floods is asked to wait, and the sources of others are not', async () => {
  const [flood, other] = [await sender('flood'), await sender('other', world.otherKey)]
  // Who has no secret uses up nothing.
  for (let i = 0; i < 20; i++) expect((await flood(`wrong-${i}`, {})).status).toBe(401)
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => flood(String(i))))
  const refused = answers.filter(({ status }) => status === 429)
  // Five and what a second or two brings back, never all.
  expect(answers.length - refused.length).toBeGreaterThanOrEqual(5)
  expect(refused.length).toBeGreaterThan(30)
  for (const { headers, body } of refused) {
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(body.error?.code).toBe('too_many_requests')
  }
  expect((await other('1')).status).toBe(200)
})
