import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

const phoneToken = 'phone-token-of-the-shop'
const modelKey = 'sk-own-model-of-the-shop'
// A conversation that an agent has handed over is silent, so each question is another customer's.
const [zoe, lea, max] = ['33612345671', '33612345672', '33612345673'] as const
let world: World
let phone: WhapiSimulator
let operators: ModelSimulator
let own: ModelSimulator

beforeAll(async () => {
  operators = await startModelSimulator()
  own = await startModelSimulator({ apiKey: modelKey })
  phone = await startWhapiSimulator({ token: phoneToken, channelId: 'SHOP-PHONE', automaticStatuses: false })
  const origins = [new URL(phone.url).origin, new URL(own.url).origin]
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      MODEL_SIMULATOR_URL: operators.baseUrl,
      MODEL_CONNECTION_ORIGINS: new URL(own.url).origin,
      ACCOUNTS_CONNECTION_ORIGINS: origins.join(','),
      NOTIFIER_WHAPI_GATEWAYS: phone.url,
      AGENTS_QUIET_MS: '100',
      AGENTS_QUIET_MAX_MS: '400',
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
    },
  })
})
afterAll(async () => {
  await world?.stop()
  await phone?.close()
  await operators?.close()
  await own?.close()
})

const says = (from: string, text: string) => phone.customerSends({ from, name: 'Zoé', text })
const answersTo = (from: string) => phone.sentTo(`${from}@s.whatsapp.net`).length
const isAnswered = (from: string) => expect.poll(() => answersTo(from), { timeout: 15_000, interval: 50 }).toBe(1)
const connectionOf = async (id: string) => (await world.call('GET', `/v1/connections/${id}`)).body
const channel = async () => (await world.call('GET', '/v1/channels')).body.items[0]

test('a shop connects its phone and its model, is told of a refused token, gives a new one, and disconnects', async () => {
  // Connect: one call to the gateway, and from then on there are a channel and a door.
  const requests = phone.requests()
  const connected = await world.call('POST', '/v1/connections', {
    body: {
      provider: 'whapi',
      displayName: 'Shop phone',
      accountId: 'SHOP-PHONE',
      settings: { baseUrl: phone.url },
      credentials: { token: phoneToken },
    },
  })
  expect(connected.status).toBe(201)
  expect(connected.body).toMatchObject({ status: 'active', test: { outcome: 'ok' } })
  expect(phone.requests()).toBe(requests + 1)
  const { id, webhook } = connected.body
  await world.settle()
  expect(await channel()).toMatchObject({ accountId: 'SHOP-PHONE', status: 'active', connectionId: id })
  phone.setWebhook({ url: world.running.url + webhook.path, headers: { [webhook.header.name]: webhook.header.value } })
  expect((await says(zoe, 'Bonjour, où en est ma commande ?')).status).toBe(200)
  await isAnswered(zoe)
  expect(operators.count).toBe(1)

  // Its own model: the next answer is made there.
  const model = await world.call('POST', '/v1/connections', {
    body: { provider: 'openai', displayName: 'Our model', settings: { baseUrl: own.baseUrl }, credentials: { apiKey: modelKey } },
  })
  expect(model.status).toBe(201)
  await world.settle()
  await says(lea, 'Et le colis de ma sœur ?')
  await isAnswered(lea)
  expect([operators.count, own.count]).toEqual([1, 1])

  // The token ends: the answer waits, the owner sees why, and a new token sends it.
  phone.faults.always(
    { kind: 'status', status: 401, body: { error: { code: 401, message: `Unauthorized: ${phoneToken}` } } },
    () => true,
  )
  await says(max, 'Allô ?')
  await expect.poll(async () => (await connectionOf(id)).status, { timeout: 15_000 }).toBe('error')
  const broken = await connectionOf(id)
  expect(broken.errorCount).toBeGreaterThanOrEqual(1)
  expect(broken.lastError).toContain('Unauthorized')
  expect(JSON.stringify(broken)).not.toContain(phoneToken)
  expect(await channel()).toMatchObject({ status: 'unauthorised' })
  expect(answersTo(max)).toBe(0)
  phone.faults.clear()
  const rotated = await world.call('PATCH', `/v1/connections/${id}`, { body: { credentials: { token: phoneToken } } })
  expect(rotated.body).toMatchObject({ status: 'active', errorCount: 0 })
  await isAnswered(max)

  // Disconnect: nothing is taken and nothing goes out.
  expect((await world.call('DELETE', `/v1/connections/${id}`)).status).toBe(200)
  await world.settle()
  expect(await channel()).toMatchObject({ status: 'disabled' })
  const closed = () =>
    fetch(world.running.url + webhook.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [webhook.header.name]: webhook.header.value },
      body: '{}',
    })
  await expect.poll(async () => (await closed()).status, { timeout: 5_000 }).toBe(404)

  // Nobody kept what was secret: not accounts, not the services, no event, no log of changes.
  await world.settle()
  const tables = await world.sql<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  for (const { name } of tables) {
    const found = await world.sql(`select 1 from ${name} as t where t::text like any($1) limit 1`, [
      [phoneToken, modelKey, webhook.header.value, webhook.path.slice(-43)].map((secret) => `%${secret}%`),
    ])
    expect(found, name).toEqual([])
  }
})
