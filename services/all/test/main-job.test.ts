import { startModelSimulator, type ModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

let world: World
let phone: WhapiSimulator
let model: ModelSimulator

beforeAll(async () => {
  model = await startModelSimulator({})
  phone = await startWhapiSimulator({ token: 'phone-token', channelId: 'SHOP-PHONE' })
  world = await startWorld({
    services: allServices,
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      MODEL_SIMULATOR_URL: model.baseUrl,
      NOTIFIER_WHAPI_GATEWAYS: phone.url,
      AGENTS_QUIET_MS: '100',
      AGENTS_QUIET_MAX_MS: '400',
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64'),
    },
  })
  const source = await world.call('POST', '/v1/webhook-sources', {
    body: { provider: 'whapi', accountId: 'SHOP-PHONE', name: 'Shop' },
  })
  expect(source.status).toBe(201)
  phone.setWebhook({
    url: world.running.url + source.body.path,
    headers: { [source.body.header.name]: source.body.header.value },
  })
  const channel = await world.call('PUT', '/v1/channels/SHOP-PHONE', { body: { token: 'phone-token', baseUrl: phone.url } })
  expect(channel.status).toBe(200)
})
afterAll(async () => {
  await world?.stop()
  await phone?.close()
  await model?.close()
})

const customer = '33612345678'
const chat = `${customer}@s.whatsapp.net`

describe('the main job', () => {
  test('a customer’s WhatsApp message is answered once, and every step can be read', async () => {
    const delivered = await phone.customerSends({ from: customer, name: 'Zoé', text: 'Bonjour, où en est ma commande 1042 ?' })
    expect(delivered.status).toBe(200)
    const answer = await phone.waitForSent((sent) => sent.to === chat || sent.to === customer, 10_000)
    expect(answer.text).toBeTruthy()
    await world.settle()
    const conversations = await world.call('GET', '/v1/conversations')
    expect(conversations.body).toMatchObject({ total: 1 })
    const messages = await world.call('GET', `/v1/conversations/${conversations.body.items[0].id}/messages`)
    expect(messages.body.items.map((message: { sender: string }) => message.sender).sort()).toEqual(['agent', 'user'])
    const turns = await world.call('GET', '/v1/turns')
    expect(turns.body.items[0]).toMatchObject({ simulated: true })
    expect(phone.sentTo(chat)).toHaveLength(1)
  })

  test('a burst of messages gets one answer', async () => {
    const other = '33698765432'
    await Promise.all(['Bonjour', 'Merci beaucoup', 'Bonne journée'].map((text) => phone.customerSends({ from: other, text })))
    await world.settle()
    expect(phone.sentTo(`${other}@s.whatsapp.net`)).toHaveLength(1)
    expect((await world.events('agents', 'turn.taken')).at(-1)?.data).toMatchObject({ outcome: 'replied' })
  })
})
