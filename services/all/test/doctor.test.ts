import { laneOf } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Api } from '../src/api.ts'
import { instanceFindings } from '../src/doctor/instance.ts'
import { allServices } from '../src/index.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({
    services: allServices.filter(({ name }) => name === 'notifier'),
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
  })
})
afterAll(async () => {
  await world?.stop()
})

async function finding(name: string) {
  const api = {
    url: world.running.url,
    get: async (path, reply) => reply.parse((await world.call('GET', path)).body),
  } satisfies Partial<Api> as Api
  const running = {
    pid: process.pid,
    startedAt: '',
    ready: true,
    shape: 'one process' as const,
    url: world.running.url,
    adminUrls: [{ name: 'parley', url: world.running.adminUrl }],
    control: null,
    postgresUrl: world.adminUrl,
    natsUrl: '',
    natsMonitoringUrl: null,
  }
  return (await instanceFindings(api, running)).find(({ check }) => check === name)
}

async function inOutbox(organizationId: string): Promise<string> {
  const id = randomUUIDv7()
  const key = 'é'.repeat(34)
  await world.sql(
    `insert into notifier.outbox (id, organization_id, lane, type, key, correlation_id, envelope) values ($1, $2, $3, 'audit.change_recorded', $4, 'c', '{}')`,
    [id, organizationId, laneOf(organizationId, key), key],
  )
  return id
}

test('the doctor names an event that can never be published, counts those of others, and blames nothing else', async () => {
  expect(await finding('unpublishable events')).toMatchObject({ state: 'ok', detail: 'none' })
  const mine = await inOutbox(world.organizationId)
  const theirs = await inOutbox(world.otherOrganizationId)
  await expect.poll(() => world.sql('select 1 from notifier.dead_letters'), { timeout: 10_000 }).toHaveLength(2)
  const found = await finding('unpublishable events')
  expect(found).toMatchObject({ state: 'failed', remedy: expect.stringContaining('dead redrive') })
  expect(found?.detail).toMatch(/^2 of notifier: audit\.change_recorded /)
  expect(found?.detail).toContain(mine)
  expect(found?.detail).toContain('too long')
  expect(found?.detail).not.toContain(theirs)
  expect(await finding('outbox age')).toMatchObject({ state: 'ok' })
})
