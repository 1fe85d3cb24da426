import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { type Door, openDoor, post, shopifySignature } from './door.ts'

const shop = 'again.myshopify.com'
let world: World
let phone: Door
let store: Door

beforeAll(async () => {
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  phone = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name: 'phone' })
  store = await openDoor(world, { provider: 'shopify', accountId: shop, name: 'shop', signingSecret: 'shop-secret-of-tests' })
})
afterAll(async () => {
  await world?.stop()
})

const told = async (type: string) => (await world.events('ingest', type)).map((event) => event.data as Record<string, unknown>)
const fromPhone = (body: object) =>
  post(world, phone.path, JSON.stringify({ ...body, channel_id: 'PHONE-1' }), {
    [phone.header?.name as string]: phone.header?.value as string,
  })
const fromShop = (topic: string, body: object, headers: Record<string, string> = {}) => {
  const bytes = JSON.stringify(body)
  return post(world, store.path, bytes, {
    'x-shopify-topic': topic,
    'x-shopify-shop-domain': shop,
    'x-shopify-hmac-sha256': shopifySignature('shop-secret-of-tests', bytes),
    ...headers,
  })
}
const loggedOut = { users: [{ id: '33612345678' }], event: { type: 'users', event: 'delete' } }
const loggedIn = { users: [{ id: '33612345678' }], event: { type: 'users', event: 'post' } }

describe('what becomes so again', () => {
  test('a phone that is logged out, in, out and in is told each time, and a repetition of the last is none', async () => {
    for (const body of [loggedOut, loggedIn, loggedOut, loggedIn]) {
      expect((await fromPhone(body)).body).toMatchObject({ duplicate: false })
      expect((await fromPhone(body)).body).toMatchObject({ duplicate: true })
    }
    expect((await told('channel.status_changed')).map((data) => data['status'])).toEqual([
      'logged_out',
      'connected',
      'logged_out',
      'connected',
    ])
  })

  test('of states that come in one commit none is lost and none told twice', async () => {
    const before = (await told('channel.status_changed')).length
    await Promise.all([loggedOut, loggedOut, loggedOut].map(fromPhone))
    expect((await told('channel.status_changed')).slice(before).map((data) => data['status'])).toEqual(['logged_out'])
  })

  test.each([
    ['with the ids of its deliveries', true],
    ['without them', false],
  ])('a consent withdrawn, given and withdrawn without times is told each time, %s', async (_how, withIds) => {
    const id = withIds ? 7 : 8
    const consent = (state: string) => ({
      customer_id: id,
      phone_number: '+33612345678',
      whats_app_marketing_consent: { state, consent_updated_at: null },
    })
    let delivery = 0
    const send = (state: string, as: string) =>
      fromShop('customers_whats_app_marketing_consent/update', consent(state), withIds ? { 'x-shopify-webhook-id': as } : {})
    for (const state of ['not_subscribed', 'subscribed', 'not_subscribed']) {
      const as = `w-${id}-${++delivery}`
      expect((await send(state, as)).body).toMatchObject({ duplicate: false })
      expect((await send(state, as)).body).toMatchObject({ duplicate: true })
    }
    // A late retry of the second delivery brings back what is past only where nothing tells it from news.
    if (withIds) expect((await send('subscribed', `w-${id}-2`)).body).toMatchObject({ duplicate: true })
    const states = (await told('shop.customer_changed')).filter((data) => data['customerId'] === String(id))
    expect(states.map((data) => (data['customer'] as Record<string, unknown>)['whatsappConsent'])).toEqual([
      'not_subscribed',
      'subscribed',
      'not_subscribed',
    ])
  })

  test('a demand made anew is told again, a retry of one delivery is not', async () => {
    const redact = { shop_id: 1, shop_domain: shop, customer: { id: 9, phone: '+33612345678' }, orders_to_redact: [] }
    const send = (as: string) => fromShop('customers/redact', redact, as === '' ? {} : { 'x-shopify-webhook-id': as })
    expect((await send('first')).body).toMatchObject({ duplicate: false })
    expect((await send('first')).body).toMatchObject({ duplicate: true })
    expect((await send('a month later')).body).toMatchObject({ duplicate: false })
    expect((await send('')).body).toMatchObject({ duplicate: false })
    expect((await send('')).body).toMatchObject({ duplicate: true })
    await world.sql(`update ingest.told_states set told_at = told_at - interval '30 days'`)
    expect((await send('')).body).toMatchObject({ duplicate: false })
    expect(await told('privacy.requested')).toHaveLength(4)
  })

  test('a retry says which receipt told it, and reading an old receipt again brings nothing past back', async () => {
    const receipts = await world.sql<{ id: string; note: string | null; state: string }>(
      `select id, note, state from ingest.receipts where topic like 'users.%' order by id`,
    )
    expect(receipts[1]).toMatchObject({ state: 'ignored', note: `duplicate of ${receipts[0]?.id}` })
    const before = (await told('channel.status_changed')).length
    await world.call('POST', `/v1/receipts/${receipts[0]?.id}/replay`)
    expect(await told('channel.status_changed')).toHaveLength(before)
  })
})
