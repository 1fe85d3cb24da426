import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

interface Accounts {
  accessTokens: {
    sign(claims: {
      userId: string
      sessionId: string
      organizationId: string
      authenticatedAt: Date
      secondFactor: boolean
    }): Promise<{ accessToken: string }>
  }
}

let world: World
let phone: WhapiSimulator
let model: ModelSimulator
beforeAll(async () => {
  model = await startModelSimulator()
  phone = await startWhapiSimulator({ token: 'phone-token', channelId: 'SHOP-PHONE' })
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: { MODEL_SIMULATOR_URL: model.baseUrl, NOTIFIER_WHAPI_GATEWAYS: phone.url },
  })
})
afterAll(async () => {
  await world?.stop()
  await phone?.close()
  await model?.close()
})

/** A list of each service. */
const lists = ['/v1/organization', '/v1/webhook-sources', '/v1/conversations', '/v1/channels', '/v1/agents']

test('a closed organization is shut to its members and keys in every service within 5 s, and its webhooks are stored', async () => {
  const { organizationId } = world
  const made = await world.call('POST', '/v1/operator/organizations', {
    body: { organizationId, name: 'Shop', ownerEmail: 'owner@example.com' },
  })
  const sessionId = randomUUIDv7()
  const accounts = world.running.services.find((service) => service.name === 'accounts')?.app as Accounts
  const { accessToken: token } = await accounts.accessTokens.sign({
    userId: made.body.ownerId,
    sessionId,
    organizationId,
    authenticatedAt: new Date(),
    secondFactor: false,
  })
  const paths = await Promise.all(lists.map(async (path) => [path, (await world.call('GET', path, { key: token })).status]))
  expect(paths).toEqual(lists.map((path) => [path, 200]))
  const scopes = ['organization:read', 'channels:read', 'conversations:read', 'agents:read', 'webhook-sources:read']
  const key = await world.call('POST', '/v1/api-keys', { key: token, body: { name: 'till', scopes } })
  expect(key.status, JSON.stringify(key.body)).toBe(201)
  const source = await world.call('POST', '/v1/webhook-sources', {
    key: token,
    body: { provider: 'whapi', accountId: 'SHOP-PHONE', name: 'Shop' },
  })
  expect(source.status).toBe(201)
  const { path, header } = source.body
  phone.setWebhook({ url: world.running.url + path, headers: { [header.name]: header.value } })
  const statuses = async () => {
    const answers = await Promise.all(
      [token, key.body.key].flatMap((credential) => lists.map((list) => world.call('GET', list, { key: credential }))),
    )
    return answers.map(({ status, body }) => (status === 403 ? body.error.message : status))
  }
  expect(await statuses()).toEqual(Array(lists.length * 2).fill(200))

  const turn = (status: string) =>
    world.call('PATCH', `/v1/operator/organizations/${organizationId}`, { body: { status, reason: 'test' } })
  expect((await turn('inactive')).status).toBe(200)
  const shut = Array(lists.length * 2).fill('This organization is closed.')
  await expect.poll(statuses, { timeout: 5_000, interval: 100 }).toEqual(shut)

  const delivery = await phone.customerSends({ from: '33612345678', name: 'Zoé', text: 'Bonjour' })
  expect(delivery.status).toBe(200)
  const { receiptId } = JSON.parse(delivery.body)
  expect(await world.sql('select 1 from ingest.receipts where id = $1', [receiptId])).toHaveLength(1)

  // The operator's own key opens it again: it belongs to who runs the installation.
  expect((await turn('active')).status).toBe(200)
  await expect.poll(statuses, { timeout: 5_000, interval: 100 }).toEqual(Array(lists.length * 2).fill(200))
})
