import { messageReceived } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { type Answer, type Door, elevenLabsSignature, openDoor, post, shopifySignature, whapiMessage } from './door.ts'

let world: World
let whapi: Door
let secret: Record<string, string>

beforeAll(async () => {
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  whapi = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name: 'shop phone' })
  secret = { [whapi.header?.name as string]: whapi.header?.value as string }
})
afterAll(async () => {
  await world?.stop()
})

const send = (payload: unknown, headers = secret, path = whapi.path) => post(world, path, JSON.stringify(payload), headers)
const receipts = (where = 'true') =>
  world.sql<Record<string, unknown>>(`select * from ingest.receipts where ${where} order by id`)
const receivedOf = async (id: string) =>
  (await world.events('ingest', 'message.received')).filter(
    (event) => (event.data as { providerMessageId: string }).providerMessageId === id,
  )

describe('an authentic delivery', () => {
  test('is stored with its events before it is answered', async () => {
    const answer = await send(whapiMessage('m-1', 'Bonjour'))
    expect(answer).toMatchObject({ status: 200, body: { received: true, duplicate: false } })
    const [event] = await receivedOf('m-1')
    expect(event).toMatchObject({
      source: 'ingest',
      correlationId: answer.body.receiptId,
      causationId: answer.body.receiptId,
      organizationId: world.organizationId,
    })
    const { body: receipt } = await world.call('GET', `/v1/receipts/${answer.body.receiptId}`)
    expect(receipt).toMatchObject({
      state: 'done',
      provider: 'whapi',
      topic: 'messages.post',
      eventCount: 1,
      bodyEncoding: 'utf8',
      providerTime: '2026-01-01T00:00:00.000Z',
    })
    expect(JSON.parse(receipt.body)).toEqual(whapiMessage('m-1', 'Bonjour'))
    expect(JSON.stringify(receipt.headers)).not.toContain(whapi.header?.value)
  })

  test('carries the trace of the request on', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c'
    await send(whapiMessage('m-trace', 'x'), { ...secret, traceparent: `00-${trace}-b7ad6b7169203331-01` })
    expect((await receivedOf('m-trace'))[0]?.traceparent).toContain(trace)
  })

  test('of an unknown kind is taken, stored as ignored, and stated as unrecognised', async () => {
    const answer = await send({ novelty: [], event: { type: 'novelty', event: 'post' }, channel_id: 'PHONE-1' })
    expect(answer.status).toBe(200)
    expect(await receipts(`id = '${answer.body.receiptId}'`)).toMatchObject([
      { state: 'ignored', note: expect.stringMatching(/^unrecognised/) },
    ])
    expect((await world.events('ingest', 'webhook.unrecognised')).some((event) => event.key === answer.body.receiptId)).toBe(true)
  })

  test('with NUL and half a surrogate pair in it is stored and stated all the same', async () => {
    const text = JSON.stringify(whapiMessage('m-nul', 'aZb')).replace('aZb', 'a\\u0000b\\ud800c')
    expect((await post(world, whapi.path, text, secret)).status).toBe(200)
    expect(await receivedOf('m-nul')).toMatchObject([{ data: { content: { text: 'a\uFFFDb\uFFFDc' } } }])
  })

  test('reaches the source documents’ own path with the token beside it', async () => {
    const token = whapi.path.split('/').at(-1) as string
    expect((await send(whapiMessage('m-query', 'x'), secret, `/functions/whatsapp-webhook?token=${token}`)).status).toBe(200)
    expect(
      (await send(whapiMessage('m-header', 'x'), { ...secret, 'x-parley-token': token }, '/functions/whatsapp-webhook')).status,
    ).toBe(200)
    expect((await send(whapiMessage('m-none', 'x'), secret, '/functions/whatsapp-webhook')).status).toBe(404)
    expect((await send(whapiMessage('m-none', 'x'), secret, `/functions/v1/handle-call-webhook?token=${token}`)).status).toBe(404)
  })
})

describe('the same fact again', () => {
  test('changes nothing and names the receipt that came first', async () => {
    const first = await send(whapiMessage('m-twice', 'once'))
    const again = await send(whapiMessage('m-twice', 'once'))
    expect(again).toMatchObject({ status: 200, body: { duplicate: true } })
    expect(await receivedOf('m-twice')).toHaveLength(1)
    expect(await receipts(`id = '${again.body.receiptId}'`)).toMatchObject([
      { state: 'ignored', note: `duplicate of ${first.body.receiptId}`, duplicate_count: 1, event_count: 0, body: null },
    ])
  })

  test('fifty times at once has exactly one effect, and every sender hears 200', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(whapiMessage('m-storm', 'x'))))
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 50 }, () => 200))
    expect(answers.filter((answer) => !answer.body.duplicate)).toHaveLength(1)
    expect(await receivedOf('m-storm')).toHaveLength(1)
  })

  test('over two replicas at once has exactly one effect', async () => {
    const replica = await world.startReplica()
    const body = JSON.stringify(whapiMessage('m-replicas', 'x'))
    const urls = Array.from({ length: 40 }, (_, index) => (index % 2 ? replica.url : world.running.url) + whapi.path)
    const answers = await Promise.all(
      urls.map((url) => fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...secret } })),
    )
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
    expect(await receivedOf('m-replicas')).toHaveLength(1)
  })

  test('beside a new one lets the new one through', async () => {
    const [one, two] = [whapiMessage('m-one', '1'), whapiMessage('m-two', '2')]
    await send(one)
    const both = await send({ ...one, messages: [...one.messages, ...two.messages] })
    expect(both.body.duplicate).toBe(false)
    expect(await receivedOf('m-one')).toHaveLength(1)
    expect(await receivedOf('m-two')).toHaveLength(1)
    expect(await receipts(`id = '${both.body.receiptId}'`)).toMatchObject([{ state: 'done', duplicate_count: 1, event_count: 1 }])
  })

  test('of another organization is another fact', async () => {
    const other = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name: 'same phone name' }, world.otherKey)
    await send(whapiMessage('m-both', 'x'))
    const headers = { [other.header?.name as string]: other.header?.value as string }
    expect((await send(whapiMessage('m-both', 'x'), headers, other.path)).body.duplicate).toBe(false)
    expect(new Set((await receivedOf('m-both')).map((event) => event.organizationId))).toEqual(
      new Set([world.organizationId, world.otherOrganizationId]),
    )
  })
})

describe('what is not let in leaves nothing behind', () => {
  const refused = async (expected: number, act: () => Promise<{ status: number; body: Answer }>) => {
    const before = await receipts()
    const answer = await act()
    expect(answer.status).toBe(expected)
    expect(answer.body).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } })
    expect(await receipts()).toHaveLength(before.length)
    return answer
  }
  const message = whapiMessage('m-bad', 'x')
  const body = JSON.stringify(message)

  test('a wrong, missing or swapped secret: 401, always in the same words', async () => {
    const words = await Promise.all([
      refused(401, () => send(message, {})),
      refused(401, () => send(message, { [whapi.header?.name as string]: 'wrong' })),
      refused(401, () => send(message, { [whapi.header?.name as string]: '' })),
    ])
    expect(new Set(words.map((answer) => JSON.stringify(answer.body))).size).toBe(1)
  })

  test.each([
    ['a token nobody gave out', () => `/webhooks/whapi/${'a'.repeat(65)}`],
    ['a token of another form', () => '/webhooks/whapi/abc'],
    ['the right token under another provider', () => whapi.path.replace('whapi', 'tavus')],
    ['an unknown provider', () => whapi.path.replace('whapi', 'nobody')],
  ])('%s: 404', async (_name, path) => {
    await refused(404, () => send(message, secret, path()))
  })

  test('another channel in the body: 403', () => refused(403, () => send({ ...message, channel_id: 'PHONE-2' })))

  test.each([
    ['half JSON', body.slice(0, -3)],
    ['nothing', ''],
    ['a prototype', body.replace('"type"', '"__proto__":{"x":1},"type"')],
    ['depth', '['.repeat(5_000) + ']'.repeat(5_000)],
    ['an endless number', body.replace('1767225600', '1e400')],
  ])('%s: 400', async (_name, text) => {
    await refused(400, () => post(world, whapi.path, text, secret))
  })

  test('bytes that are not UTF-8: 400', () =>
    refused(400, () => post(world, whapi.path, Buffer.from([0x7b, 0xff, 0x7d]), secret)))

  test.each(['text/plain', 'application/xml', 'application/json; charset=utf-16'])('%s: 415', async (type) => {
    await refused(415, () => post(world, whapi.path, body, { ...secret, 'content-type': type }))
  })

  test('a compressed body: 415', () =>
    refused(415, () => post(world, whapi.path, body, { ...secret, 'content-encoding': 'gzip' })))

  test('one byte too many: 413', () => refused(413, () => post(world, whapi.path, ' '.repeat(2 * 1024 * 1024 + 1), secret)))

  test.each(['GET', 'PUT', 'PATCH', 'DELETE'])('%s: 405', async (method) => {
    const answer = await fetch(world.running.url + whapi.path, { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  })
})

describe('Shopify', () => {
  const key = 'shpss_a_client_secret'
  let door: Door
  const order = JSON.stringify({
    id: 820_982_911,
    admin_graphql_api_id: 'gid://shopify/Order/820982911',
    email: '',
    line_items: [],
    updated_at: '2026-01-01T10:00:00+01:00',
  })
  const headersOf = (body: string, topic: string, id = 'w-1') => ({
    'x-shopify-topic': topic,
    'x-shopify-shop-domain': 'dev.myshopify.com',
    'x-shopify-webhook-id': id,
    'x-shopify-hmac-sha256': shopifySignature(key, body),
  })
  beforeAll(async () => {
    door = await openDoor(world, { provider: 'shopify', accountId: 'dev.myshopify.com', name: 'shop', signingSecret: key })
  })

  test('a captured delivery under a new webhook id is a duplicate', async () => {
    expect((await post(world, door.path, order, headersOf(order, 'orders/create'))).body).toMatchObject({
      received: true,
      duplicate: false,
    })
    expect((await post(world, door.path, order, headersOf(order, 'orders/create', 'w-2'))).body).toMatchObject({
      duplicate: true,
    })
  })

  test('one changed byte is refused', async () => {
    expect((await post(world, door.path, `${order} `, headersOf(order, 'orders/create'))).status).toBe(401)
  })

  test('an order sent as an erasure request is refused, and erases nobody', async () => {
    expect((await post(world, door.path, order, headersOf(order, 'customers/redact'))).status).toBe(400)
    expect(await world.events('ingest', 'privacy.requested')).toEqual([])
  })

  test('both secrets are good while a rotation lasts', async () => {
    const { status } = await world.call('POST', `/v1/webhook-sources/${door.id}/rotate`, {
      body: { what: 'signing_secret', signingSecret: 'shpss_the_next_one' },
    })
    expect(status).toBe(200)
    const product = JSON.stringify({ id: 1, title: 'Cream', variants: [] })
    const withKey = (secretKey: string) => ({
      ...headersOf(product, 'products/update'),
      'x-shopify-hmac-sha256': shopifySignature(secretKey, product),
    })
    expect((await post(world, door.path, product, withKey('shpss_the_next_one'))).status).toBe(200)
    expect((await post(world, door.path, product, withKey(key))).status).toBe(200)
    expect((await post(world, door.path, product, withKey('shpss_never'))).status).toBe(401)
  })
})

test('an id of any length and alphabet is taken, recognised when it comes again, and told apart from its like', async () => {
  const tavus = await openDoor(world, { provider: 'tavus', name: 'long keys' })
  const headers = tavus.header === null ? {} : { [tavus.header.name]: tavus.header.value }
  const ready = (key: string) => ({
    event_type: 'application.recording_ready',
    conversation_id: 'c-long',
    timestamp: '2026-01-01T00:00:00Z',
    properties: { s3_key: key, bucket_name: 'ours', duration: 1 },
  })
  const keys = ['漢'.repeat(1_000), `${'漢'.repeat(999)}字`, '🌹'.repeat(500)]
  for (const key of keys)
    expect(await send(ready(key), headers, tavus.path)).toMatchObject({ status: 200, body: { duplicate: false } })
  for (const key of keys)
    expect(await send(ready(key), headers, tavus.path)).toMatchObject({ status: 200, body: { duplicate: true } })
})

describe('a recording', () => {
  const key = 'wsec_shared'
  const audio = Buffer.alloc(400_000, 7)
  const body = JSON.stringify({
    type: 'post_call_audio',
    event_timestamp: 1_767_225_600,
    data: { agent_id: 'a-1', conversation_id: 'c-1', full_audio: audio.toString('base64') },
  })

  test('without object storage stays in its receipt, for a replay', async () => {
    const door = await openDoor(world, { provider: 'elevenlabs', accountId: null, name: 'calls', signingSecret: key })
    const answer = await post(world, door.path, body, { 'elevenlabs-signature': elevenLabsSignature(key, body) })
    expect(answer.status).toBe(200)
    expect(await receipts(`id = '${answer.body.receiptId}'`)).toMatchObject([
      { state: 'ignored', size: body.length, body: Buffer.from(body) },
    ])
  })
})

describe('a source', () => {
  test('shows its address and header once, and never again', async () => {
    const { body } = await world.call('GET', '/v1/webhook-sources?provider=whapi&limit=100')
    const text = JSON.stringify(body)
    expect(body.items.length).toBeGreaterThan(0)
    expect(text).not.toContain(whapi.path)
    expect(text).not.toContain(whapi.header?.value)
  })

  test('keeps nothing readable in the database', async () => {
    const [row] = await world.sql(`select * from ingest.webhook_sources where id = '${whapi.id}'`)
    const text = JSON.stringify(row)
    expect(text).not.toContain(whapi.header?.value)
    expect(text).not.toContain(whapi.path.split('/').at(-1))
  })

  test('with a new header takes both for a day', async () => {
    const door = await openDoor(world, { provider: 'whapi', accountId: 'PHONE-1', name: 'rotated' })
    const { body: rotated } = await world.call('POST', `/v1/webhook-sources/${door.id}/rotate`, { body: { what: 'header' } })
    expect(rotated.header.value).not.toBe(door.header?.value)
    for (const value of [rotated.header.value, door.header?.value as string]) {
      expect((await send(whapiMessage(`m-${value}`, 'x'), { [rotated.header.name]: value }, door.path)).status).toBe(200)
    }
    await world.sql(`update ingest.webhook_sources set header_rotated_at = now() - interval '25 hours' where id = '${door.id}'`)
    await expect
      .poll(
        async () =>
          (await send(whapiMessage('m-late', 'x'), { [rotated.header.name]: door.header?.value as string }, door.path)).status,
        { timeout: 4_000, interval: 50 },
      )
      .toBe(401)
    expect((await send(whapiMessage('m-new', 'x'), { [rotated.header.name]: rotated.header.value }, door.path)).status).toBe(200)
  })

  test('with a new address no longer answers at the old one', async () => {
    const door = await openDoor(world, { provider: 'tavus', name: 'moved' })
    const { body: moved } = await world.call('POST', `/v1/webhook-sources/${door.id}/rotate`, { body: { what: 'token' } })
    const callback = {
      event_type: 'system.shutdown',
      conversation_id: 'c-9',
      properties: {},
      message_type: 'system',
      timestamp: '2026-01-01T00:00:00Z',
    }
    expect((await send(callback, {}, door.path)).status).toBe(404)
    expect((await send(callback, {}, moved.path)).status).toBe(200)
  })

  test('that was deleted is closed in every replica within two seconds', async () => {
    const replica = await world.startReplica()
    const door = await openDoor(world, { provider: 'tavus', name: 'closed' })
    const at = (url: string) =>
      fetch(url + door.path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then(
        (answer) => answer.status,
      )
    expect(await at(replica.url)).toBe(200)
    expect((await world.call('DELETE', `/v1/webhook-sources/${door.id}`)).body.status).toBe('disabled')
    expect(await at(world.running.url)).toBe(404)
    await expect.poll(() => at(replica.url), { timeout: 2_500, interval: 50 }).toBe(404)
  })

  test('belongs to its organization: nobody else sees or closes it', async () => {
    expect((await world.call('DELETE', `/v1/webhook-sources/${whapi.id}`, { key: world.otherKey })).status).toBe(404)
    const { body } = await world.call('GET', '/v1/webhook-sources?limit=100', { key: world.otherKey })
    expect(JSON.stringify(body)).not.toContain(whapi.id)
  })

  test.each([
    ['no account for a phone', { provider: 'whapi', name: 'x' }, 'accountId'],
    ['no secret of a shop', { provider: 'shopify', accountId: 'a.myshopify.com', name: 'x' }, 'signingSecret'],
    ['a secret where nothing is signed', { provider: 'tavus', name: 'x', signingSecret: '12345678' }, 'signingSecret'],
    ['an unknown field', { provider: 'tavus', name: 'x', status: 'active' }, 'status'],
  ])('is not made with %s, and the field is named', async (_name, body, field) => {
    const answer = await world.call('POST', '/v1/webhook-sources', { body })
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer.body.error)).toContain(field)
  })

  test('says to the minute when something last came', async () => {
    const { body } = await world.call('GET', '/v1/webhook-sources?limit=100')
    const own = body.items.find((source: { id: string }) => source.id === whapi.id)
    expect(own.lastReceivedAt).toMatch(/:00\.000Z$/)
  })
})

describe('replaying a receipt', () => {
  test('tells nothing twice', async () => {
    const { body } = await send(whapiMessage('m-replay', 'x'))
    const replayed = await world.call('POST', `/v1/receipts/${body.receiptId}/replay`)
    expect(replayed).toMatchObject({ status: 200, body: { newEvents: 0, attempts: 2, state: 'done' } })
    expect(await receivedOf('m-replay')).toHaveLength(1)
  })

  test('that was dead tells what it held, once', async () => {
    const { body } = await send(whapiMessage('m-dead', 'x'))
    await world.sql(`delete from ingest.receipt_items where receipt_id = '${body.receiptId}'`)
    await world.sql(`update ingest.receipts set state = 'dead', error = 'Bug: x', event_count = 0 where id = '${body.receiptId}'`)
    const before = (await receivedOf('m-dead')).length
    expect((await world.call('POST', `/v1/receipts/${body.receiptId}/replay`)).body).toMatchObject({
      newEvents: 1,
      state: 'done',
      error: null,
      eventCount: 1,
    })
    expect((await world.call('POST', `/v1/receipts/${body.receiptId}/replay`)).body).toMatchObject({ newEvents: 0 })
    expect(await receivedOf('m-dead')).toHaveLength(before + 1)
  })

  test('that was not recognised tells its fact once we know its form', async () => {
    const { body } = await send(whapiMessage('m-learnt', 'x'))
    await world.sql(`update ingest.receipt_items set event_type = 'webhook.unrecognised' where receipt_id = '${body.receiptId}'`)
    expect((await world.call('POST', `/v1/receipts/${body.receiptId}/replay`)).body).toMatchObject({
      newEvents: 1,
      state: 'done',
    })
    expect((await world.call('POST', `/v1/receipts/${body.receiptId}/replay`)).body).toMatchObject({ newEvents: 0 })
  })

  test('of another organization is not there', async () => {
    const { body } = await send(whapiMessage('m-private', 'x'))
    expect((await world.call('POST', `/v1/receipts/${body.receiptId}/replay`, { key: world.otherKey })).status).toBe(404)
    expect((await world.call('GET', `/v1/receipts/${body.receiptId}`, { key: world.otherKey })).status).toBe(404)
  })
})

describe('listing receipts', () => {
  test('filters and pages', async () => {
    const { body: dead } = await world.call('GET', '/v1/receipts?state=dead&provider=whapi')
    expect(dead).toMatchObject({ items: [], total: 0 })
    const { body } = await world.call('GET', '/v1/receipts?limit=2&page=2&provider=whapi')
    expect(body.items).toHaveLength(2)
    expect(body.total).toBeGreaterThan(4)
    expect(
      (await world.call('GET', `/v1/receipts?since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`)).body
        .total,
    ).toBe(0)
  })

  test.each(['limit=101', 'limit=0', 'page=0', 'state=unknown', 'since=yesterday', 'sort=drop'])(
    '%s is refused',
    async (query) => {
      expect((await world.call('GET', `/v1/receipts?${query}`)).status).toBe(400)
    },
  )
})

test('an event that a delivery states fits its contract', async () => {
  for (const event of await world.events('ingest', 'message.received'))
    expect(messageReceived.schema.safeParse(event.data).success).toBe(true)
})
