import { connectionChanged, type DataOf } from '@parley/contracts'
import { modelFaults, type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { credentialsPlace, makeDataKey, openSealingKeys, sealCredentials, Secret } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { agents } from '../src/service.ts'
import { openTalk } from './talk.ts'

const ownKey = 'sk-of-the-organization'
let world: World
let operators: ModelSimulator
let own: ModelSimulator

beforeAll(async () => {
  operators = await startModelSimulator()
  own = await startModelSimulator({ apiKey: ownKey })
  world = await startWorld({
    services: [agents],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      MODEL_SIMULATOR_URL: operators.baseUrl,
      MODEL_CONNECTION_ORIGINS: new URL(own.url).origin,
      AGENTS_QUIET_MS: '20',
      AGENTS_QUIET_MAX_MS: '100',
      AGENTS_MODEL_TRIES: '1',
    },
  })
})
afterEach(() => own.faults.clear())
afterAll(async () => {
  await world?.stop()
  await operators?.close()
  await own?.close()
})

type Changed = DataOf<typeof connectionChanged>

/** A model connection as accounts tells of it. */
function openConnection() {
  const { organizationId } = world
  const connectionId = randomUUIDv7()
  const keys = openSealingKeys(new Secret(world.environment['PARLEY_SECRET_KEY'] as string))
  let revision = 0
  return {
    connectionId,
    async told(apiKey: string | null, more: Partial<Changed> = {}) {
      revision += 1
      const { dataKey, wrapped } = makeDataKey(keys, organizationId, 1)
      const place = credentialsPlace(organizationId, connectionId)
      const sealed = apiKey === null ? null : sealCredentials(dataKey, place, { apiKey })
      await world.state('agents', connectionChanged, {
        connectionId,
        provider: 'openai',
        accountId: null,
        displayName: 'our own model',
        status: apiKey === null ? 'removed' : 'active',
        settings: { baseUrl: own.baseUrl, model: 'house-model', promptPriceMicros: 0, completionPriceMicros: 0 },
        credentials: sealed === null ? null : { keyVersion: 1, wrappedKey: wrapped, sealed },
        webhook: null,
        revision,
        ...more,
      })
      await world.settle()
    },
    reports: async () =>
      (await world.events('agents', 'connection.reported')).filter(({ key }) => key === connectionId).map(({ data }) => data),
  }
}

/** One turn, and how often each model was asked for it. */
async function takeTurn() {
  const before = [operators.count, own.count] as const
  const talk = openTalk(world)
  await talk.says('Quels sont vos horaires ?')
  await talk.taken(1)
  const [turn] = await talk.turns()
  return { turn, asked: { operators: operators.count - before[0], own: own.count - before[1] } }
}

test('an organization’s own model is asked from the next turn on, with its own key and price, and its records say so', async () => {
  expect((await takeTurn()).asked).toEqual({ operators: 1, own: 0 })
  const connection = openConnection()
  await connection.told(ownKey)
  const { turn, asked } = await takeTurn()
  expect(asked).toEqual({ operators: 0, own: 1 })
  // It goes by its own name, whatever it was asked for; that it is a simulator only its address could tell.
  expect(turn).toMatchObject({ model: 'parley-simulated-1', simulated: false, costMicros: 0 })
  await takeTurn()
  expect(await connection.reports()).toMatchObject([{ outcome: 'ok' }])
  const stored = JSON.stringify(await world.sql('select * from agents.model_connections'))
  expect(stored).not.toContain(ownKey)

  await connection.told(ownKey, { status: 'inactive' })
  expect((await takeTurn()).asked).toEqual({ operators: 1, own: 0 })
  await connection.told(ownKey)
  expect((await takeTurn()).asked).toEqual({ operators: 0, own: 1 })
  await connection.told(null)
  const after = await takeTurn()
  expect(after.asked).toEqual({ operators: 1, own: 0 })
  expect(after.turn).toMatchObject({ simulated: true })
  expect(await world.sql('select 1 from agents.model_connections where sealed is not null')).toEqual([])
})

test('a refused key hands over, is reported, and the next key is used at once', async () => {
  const connection = openConnection()
  await connection.told('sk-that-ended')
  const { turn, asked } = await takeTurn()
  // The operator's model is not asked instead: somebody else would pay.
  expect(asked).toEqual({ operators: 0, own: 0 })
  expect(turn).toMatchObject({ outcome: 'handed_over' })
  await takeTurn()
  expect(await connection.reports()).toMatchObject([{ outcome: 'refused' }])
  await connection.told(ownKey)
  expect((await takeTurn()).asked).toEqual({ operators: 0, own: 1 })
  await connection.told(null)
})

test('an empty account is reported as such, and a model that is away is not the key’s fault', async () => {
  const connection = openConnection()
  await connection.told(ownKey)
  own.faults.next(modelFaults.insufficientQuota())
  await takeTurn()
  expect(await connection.reports()).toMatchObject([{ outcome: 'throttled' }])
  own.faults.next(modelFaults.serverError(), 2)
  await takeTurn()
  expect(await connection.reports()).toHaveLength(1)
  await connection.told(null)
})

test('an address that was public when it was saved and leads inside by now is not called', async () => {
  const connection = openConnection()
  const inside = await startModelSimulator({ apiKey: ownKey })
  await connection.told(ownKey, { settings: { baseUrl: inside.baseUrl } })
  const { turn } = await takeTurn()
  expect(turn).toMatchObject({ outcome: 'handed_over' })
  expect(inside.requests()).toBe(0)
  await inside.close()
  await connection.told(null)
})

test('another organization’s turns go on as they were', async () => {
  const connection = openConnection()
  const keys = openSealingKeys(new Secret(world.environment['PARLEY_SECRET_KEY'] as string))
  const { dataKey, wrapped } = makeDataKey(keys, world.otherOrganizationId, 1)
  const place = credentialsPlace(world.otherOrganizationId, connection.connectionId)
  const data = {
    connectionId: connection.connectionId,
    provider: 'openai' as const,
    accountId: null,
    displayName: 'theirs',
    status: 'active' as const,
    settings: { baseUrl: own.baseUrl },
    credentials: { keyVersion: 1, wrappedKey: wrapped, sealed: sealCredentials(dataKey, place, { apiKey: ownKey }) },
    webhook: null,
    revision: 1,
  }
  await world.state('agents', connectionChanged, data, { organizationId: world.otherOrganizationId })
  await world.settle()
  expect((await takeTurn()).asked).toEqual({ operators: 1, own: 0 })
})

test('an older word changes nothing, not even after the end', async () => {
  const connection = openConnection()
  await connection.told(ownKey, { revision: 5 })
  await connection.told(null, { revision: 4 })
  expect((await takeTurn()).asked).toEqual({ operators: 0, own: 1 })
  await connection.told(null, { revision: 6 })
  await connection.told(ownKey, { revision: 5 })
  expect((await takeTurn()).asked).toEqual({ operators: 1, own: 0 })
})
