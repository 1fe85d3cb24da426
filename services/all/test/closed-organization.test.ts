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
  const channel = { token: 'phone-token', baseUrl: phone.url }
  expect((await world.call('PUT', '/v1/channels/SHOP-PHONE', { body: channel })).status).toBe(200)
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

  await world.settle()
  const [asked, sent] = [model.count, phone.sent.length]
  const delivery = await phone.customerSends({ from: '33612345678', name: 'Zoé', text: 'Bonjour' })
  expect(delivery.status).toBe(200)
  const { receiptId } = JSON.parse(delivery.body)
  expect(await world.sql('select 1 from ingest.receipts where id = $1', [receiptId])).toHaveLength(1)

  // In its conversation, and no further: the turn waits, with the reason that the operator is shown.
  await world.settle()
  expect(await world.sql(`select 1 from inbox.messages where organization_id = $1`, [organizationId])).toHaveLength(1)
  const held = async () => (await world.call('GET', '/v1/ops/agents/dead-letters?state=held')).body.items
  expect(await held()).toMatchObject([{ handler: 'take-turn', error: 'Its organization is closed.' }])
  expect([model.count, phone.sent.length]).toEqual([asked, sent])

  // The operator's own key opens it again: it belongs to who runs the installation.
  expect((await turn('active')).status).toBe(200)
  await expect.poll(statuses, { timeout: 5_000, interval: 100 }).toEqual(Array(lists.length * 2).fill(200))
  // And the customer has their answer, once.
  await expect.poll(() => phone.sentTo('33612345678').length, { timeout: 10_000 }).toBe(1)
  await world.settle()
  expect(await held()).toEqual([])
  expect([model.count, phone.sent.length]).toEqual([asked + 1, sent + 1])
})

test('a message that was asked for before its organization closed goes out when it opens', async () => {
  const { organizationId } = world
  const turn = (status: string) =>
    world.call('PATCH', `/v1/operator/organizations/${organizationId}`, { body: { status, reason: 'test' } })
  const { items } = (await world.call('GET', '/v1/conversations')).body
  expect((await turn('inactive')).status).toBe(200)
  await world.settle()
  // The operator's key is let in; what it asks for still waits for the organization.
  const body = { text: 'Nous fermons un moment.' }
  expect((await world.call('POST', `/v1/conversations/${items[0].id}/messages`, { body })).status).toBe(201)
  await world.settle()
  const sent = () => phone.sentTo('33612345678').map(({ text }) => text)
  expect(sent()).not.toContain(body.text)
  expect((await turn('active')).status).toBe(200)
  await expect.poll(sent, { timeout: 10_000 }).toContain(body.text)
})
