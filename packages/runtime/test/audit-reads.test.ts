import { changeAudited, type DataOf, readAudited } from '@parley/contracts'
import { startWorld, type World } from '../src/testing/index.ts'
import { z } from 'zod'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { AppError, createKey, defineService, kit, type OpenContext, roleOf } from '../src/index.ts'

interface App {
  answered: number
  eraseEvents: OpenContext<Record<string, never>, unknown>['eraseEvents']
}
const { route } = kit<App, Record<string, never>>()
const Thing = z.object({ name: z.string() })

const getPeople = route({
  method: 'GET',
  path: '/v1/people',
  summary: 'Read people.',
  scope: 'customers:read',
  personalData: 'customer',
  query: z.strictObject({ count: z.coerce.number().int().min(0).max(100) }),
  reply: z.object({ items: z.array(Thing) }),
  run: async ({ query, app }) => {
    app.answered++
    return { items: Array.from({ length: query.count }, (_, i) => ({ name: `CANARY ${i}` })) }
  },
})

const getPerson = route({
  method: 'GET',
  path: '/v1/people/:id',
  also: ['GET /rest/v1/person/:id'],
  summary: 'Read one person.',
  scope: 'customers:read',
  personalData: 'customer',
  refuses: { not_found: 'Nobody.' },
  params: z.strictObject({ id: z.string().max(64) }),
  reply: Thing,
  run: async ({ params }) => {
    if (params.id === 'nobody') throw new AppError('not_found', 'Nobody.')
    return { name: 'CANARY' }
  },
})

const getWeather = route({
  method: 'GET',
  path: '/v1/weather',
  summary: 'Read nobody’s data.',
  scope: 'customers:read',
  reply: Thing,
  run: async () => ({ name: 'sunny' }),
})

const reader = defineService({
  name: 'reader',
  summary: 'For a test.',
  config: z.object({}),
  routes: [getPeople, getPerson, getWeather],
  migrations: [],
  open: async ({ eraseEvents }) => ({ answered: 0, eraseEvents }),
})

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [reader], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

async function reads(organizationId = world.organizationId) {
  const events = await world.events('reader', readAudited.type)
  return events
    .filter((event) => event.organizationId === organizationId)
    .map((event) => event.data as DataOf<typeof readAudited>)
}

describe('a route that answers with personal data', () => {
  test('has told who read what, from where and how much, before it answers', async () => {
    const headers = { 'user-agent': 'curl/8' }
    expect((await world.call('GET', '/v1/people?count=3', { headers })).status).toBe(200)
    const [list, ...more] = await reads()
    expect(more).toEqual([])
    expect(list).toMatchObject({
      action: 'GET /v1/people',
      resourceType: 'customer',
      resourceId: null,
      count: 3,
      ip: '127.0.0.1',
      userAgent: 'curl/8',
      actor: { kind: 'operator', id: world.key.split('_')[2] },
    })
    expect((await world.call('GET', '/rest/v1/person/p-7')).status).toBe(200)
    expect((await reads()).at(-1)).toMatchObject({ action: 'GET /v1/people/:id', resourceId: 'p-7', count: 1 })
    expect(JSON.stringify(await reads())).not.toContain('CANARY')
  })

  test('tells it for the organization of the caller, also of calls that share a commit', async () => {
    const before = { mine: (await reads()).length, others: (await reads(world.otherOrganizationId)).length }
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        world.call('GET', '/v1/people?count=1', { key: i % 3 === 0 ? world.otherKey : world.key }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect((await reads()).length - before.mine).toBe(40)
    expect((await reads(world.otherOrganizationId)).length - before.others).toBe(20)
  })

  test('tells nothing of a call that was refused, found nothing, or read nobody’s data', async () => {
    const before = (await reads()).length
    const weak = createKey(world.organizationId, ['messages:read'])
    expect((await world.call('GET', '/v1/people?count=1', { key: weak.key })).status).toBe(401)
    expect((await world.call('GET', '/v1/people?count=-1')).status).toBe(400)
    expect((await world.call('GET', '/v1/people/nobody')).status).toBe(404)
    expect((await world.call('GET', '/v1/weather')).status).toBe(200)
    expect(await reads()).toHaveLength(before)
  })

  test('does not answer when it cannot be told', async () => {
    const role = roleOf('reader')
    await world.sql(`revoke insert on reader.outbox from ${role}`)
    try {
      const answers = await Promise.all([1, 2, 3].map(() => world.call('GET', '/v1/people?count=1')))
      for (const { status, body } of answers) {
        expect(status).toBe(503)
        expect(JSON.stringify(body)).not.toContain('CANARY')
      }
      expect((await world.call('GET', '/v1/weather')).status).toBe(200)
    } finally {
      await world.sql(`grant insert on reader.outbox to ${role}`)
    }
    expect((await world.call('GET', '/v1/people?count=1')).status).toBe(200)
  })
})

test('erasing a customer’s events leaves what the audit log is told of them', async () => {
  const [service] = world.running.services
  if (!service) throw new Error('The reader does not run.')
  await service.database.commit({ organizationId: world.organizationId }, async (_tx, { audit }) =>
    audit({ resourceType: 'customer', resourceId: 'c-erased', before: null, after: { erased: true } }),
  )
  await world.settle()
  const erased = await (service.app as App).eraseEvents(world.organizationId, ['c-erased'])
  expect(erased).toEqual({ outbox: 0, stream: 0 })
  expect((await world.events('reader', changeAudited.type)).map((event) => event.key)).toContain('c-erased')
})
