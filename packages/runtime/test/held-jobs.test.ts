import { organizationUpdated } from '@parley/contracts'
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { releaseForgotten } from '../src/held-jobs.ts'
import { openDatabase } from '../src/db.ts'
import { openLog } from '../src/log.ts'
import { relayRole, roleOf } from '../src/schema.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { outwardWork, standardWork, workshop, workshopOf } from './workshop.ts'

let world: World
let shop: ReturnType<typeof workshopOf>
let revision = 0
beforeAll(async () => {
  world = await startWorld({ services: [workshop], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  shop = workshopOf(world)
})
beforeEach(() => turn('inactive'))
afterAll(async () => {
  await world?.stop()
})

async function turn(status: 'active' | 'inactive') {
  revision += 1
  await world.state('workshop', organizationUpdated, {
    organizationId: world.organizationId,
    name: 'Shop',
    status,
    timezone: 'UTC',
    locale: 'en',
    currency: 'EUR',
    ai: { enabled: true, modelPreference: null, confidenceThreshold: 0.5, monthlyBudgetMicros: null },
    revision,
  })
  await world.settle()
}

const letters = async (state: string) =>
  (await world.call('GET', `/v1/ops/workshop/dead-letters?state=${state}&limit=100`)).body.items as {
    id: string
    key: string
    correlationId: string
    error: string | null
  }[]
const held = async (key: string) => (await letters('held')).filter((letter) => letter.key === key)

test('a job that acts outside waits while its organization is closed, and goes on with its data and chain when it opens', async () => {
  const runs: { text: string | undefined; correlationId: string }[] = []
  const task = shop.task(async ({ data, correlationId }) => {
    runs.push({ text: data.text, correlationId })
  })
  await shop.ask(outwardWork, task, { key: 'waits', text: 'the payload' })
  await world.settle()
  expect(runs).toEqual([])
  const [letter] = await held('waits')
  expect(letter).toMatchObject({ error: 'Its organization is closed.' })

  await turn('active')
  await expect.poll(() => runs, { timeout: 10_000 }).toEqual([{ text: 'the payload', correlationId: letter?.correlationId }])
  await world.settle()
  expect(await held('waits')).toEqual([])
  expect((await letters('redriven')).map(({ id }) => id)).toContain(letter?.id)
  expect(runs).toHaveLength(1)
})

test('of many runs of one key one waits, and of other keys each', async () => {
  let runs = 0
  const task = shop.task(async () => {
    runs += 1
  })
  for (let round = 0; round < 3; round++) {
    await shop.ask(outwardWork, task, { key: 'many' })
    await shop.ask(outwardWork, task, { key: `one-of-${round}` })
    await world.settle()
  }
  expect(await held('many')).toHaveLength(1)
  expect((await letters('held')).filter(({ key }) => key.startsWith('one-of-'))).toHaveLength(3)
  await turn('active')
  await expect.poll(() => runs, { timeout: 10_000 }).toBe(4)
})

test('work that stays inside goes on in a closed organization', async () => {
  let runs = 0
  const task = shop.task(async () => {
    runs += 1
  })
  await shop.ask(standardWork, task)
  await world.settle()
  expect(runs).toBe(1)
})

test('a held job that was dropped does not go on', async () => {
  let runs = 0
  const task = shop.task(async () => {
    runs += 1
  })
  await shop.ask(outwardWork, task, { key: 'dropped' })
  await world.settle()
  const [letter] = await held('dropped')
  expect(await world.call('POST', `/v1/ops/workshop/dead-letters/${letter?.id}/drop`)).toMatchObject({ status: 200 })
  await turn('active')
  await world.settle()
  expect(runs).toBe(0)
})

test('an older word about the organization lets nothing go on', async () => {
  let runs = 0
  const task = shop.task(async () => {
    runs += 1
  })
  await shop.ask(outwardWork, task, { key: 'older' })
  await world.settle()
  revision -= 2
  await turn('active')
  revision += 1
  await world.settle()
  expect(runs).toBe(0)
  expect(await held('older')).toHaveLength(1)
  await turn('active')
  await expect.poll(() => runs, { timeout: 10_000 }).toBe(1)
})

test('a held job that was missed when its organization opened is found by the upkeep', async () => {
  let runs = 0
  const task = shop.task(async () => {
    runs += 1
  })
  await shop.ask(outwardWork, task, { key: 'missed' })
  await world.settle()
  // Opened without the handler: as if the run had been held in the moment after it.
  await world.sql(`update workshop.identity_organizations set status = 'active'`)
  expect(await held('missed')).toHaveLength(1)
  const log = openLog({ name: 'test', level: 'silent' })
  const open = (role: string) =>
    openDatabase<never>({ schema: 'workshop', url: world.databaseUrl(role), applicationName: 'test', maxConnections: 1, log })
  const [system, own] = [open(relayRole), open(roleOf('workshop'))]
  await releaseForgotten('workshop', system, own, log)
  await Promise.all([system.close(), own.close()])
  await expect.poll(() => runs, { timeout: 10_000 }).toBe(1)
})
