import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type Instance, startInstance } from '../src/instance.ts'
import { allServices } from '../src/services.ts'
import { type Here, makeHere } from './here.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let here: Here
let instance: Instance | undefined
beforeEach(() => {
  here = makeHere()
})
afterEach(async () => {
  await instance?.stop()
  await here.remove()
})

async function start(environment: Record<string, string> = {}): Promise<Instance> {
  instance = await startInstance({
    services: allServices,
    home: here.home,
    environment: { ...here.environment, ...environment },
    split: false,
    port: 0,
    verbose: false,
    say: () => {},
  })
  return instance
}
const anything = z.record(z.string(), z.unknown())
const nobodysLimits = { messages: null, aiRequests: null, customers: null, aiSpendMicros: null }
const overrides = () => here.sql<{ overrides: unknown }>(`select overrides from accounts.usage_settings`)

test('a home from before accounts keeps its key and its data, and gets an organization with an owner at the first start', async () => {
  const state = JSON.parse(readFileSync(here.home.stateFile, 'utf8')) as Record<string, unknown>
  const { organizationMade: _, ...before } = state
  writeFileSync(here.home.stateFile, JSON.stringify(before))

  const { api } = await start({ PARLEY_OWNER_EMAIL: 'zoe@example.com' })
  expect(await api.get('/v1/organization', anything)).toMatchObject({ organizationId: before['organizationId'], name: 'Demo' })
  expect(await api.get('/v1/members', anything)).toMatchObject({
    total: 1,
    items: [{ email: 'zoe@example.com', emailVerified: true, role: 'owner', status: 'active' }],
  })
  expect(await overrides()).toEqual([{ overrides: nobodysLimits }])
  expect(await api.get('/v1/webhook-sources?provider=whapi', anything)).toMatchObject({ total: 1 })
  expect(JSON.parse(readFileSync(here.home.stateFile, 'utf8'))).toMatchObject({
    organizationMade: true,
    apiKey: before['apiKey'],
  })

  // Later starts change nothing, not even what an operator agreed since.
  await api.put('/v1/operator/limits', { messages: 5 }, anything)
  await instance?.stop()
  const again = await start()
  expect(await again.api.get('/v1/members', anything)).toMatchObject({ total: 1, items: [{ email: 'zoe@example.com' }] })
  expect(await overrides()).toEqual([{ overrides: { messages: 5 } }])
  expect(await here.sql(`select 1 from accounts.outbox where type = 'organization.created'`)).toHaveLength(1)
})
