import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type SimulatorServer, startSimulatorServer } from '../src/http/simulator-server.ts'
import { openWhapi, type Whapi } from '../src/whapi/client.ts'
import { says, startWhapiSimulator, type WhapiSimulator } from '../src/whapi/simulator.ts'
import { whapiWebhook } from '../src/whapi/webhook.ts'

// The client and the simulator of the Whapi.cloud gateway hold the same contract: the facts of providers.md §1.

const token = 'simulated-token'
const channelId = 'CHANNL-TEST1'
const zoe = '33639980001'
const zoesChat = `${zoe}@s.whatsapp.net`

let gateway: WhapiSimulator
let whapi: Whapi
let ourSide: SimulatorServer
let received: { headers: Record<string, unknown>; body: Record<string, unknown> }[] = []
let ourAnswer = 200

beforeAll(async () => {
  ourSide = await startSimulatorServer({
    faultsApplyTo: () => true,
    handle: ({ headers, body }) => {
      received.push({ headers, body: body as Record<string, unknown> })
      return { status: ourAnswer, body: {} }
    },
  })
})
beforeEach(async () => {
  received = []
  ourAnswer = 200
  gateway = await startWhapiSimulator({ token, channelId, retry: { stepMs: 2, maxMs: 10 } })
  whapi = openWhapi({ baseUrl: gateway.url, token })
})
afterEach(async () => {
  ourSide.faults.clear()
  await whapi.close()
  await gateway.close()
})
afterAll(() => ourSide.close())

const listen = () => gateway.setWebhook({ url: `${ourSide.url}/hook`, headers: { 'x-parley-secret': 's3' } })
const raw = (method: string, path: string, body?: unknown, bearer = token) =>
  fetch(gateway.url + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })

describe('every documented send goes out and is named', () => {
  const sends: [string, () => ReturnType<Whapi['sendText']>, { type: string; text: string | null; content: unknown }][] = [
    [
      'text',
      () => whapi.sendText({ to: zoe, text: 'Bonjour 👋' }),
      { type: 'text', text: 'Bonjour 👋', content: { body: 'Bonjour 👋' } },
    ],
    [
      'image',
      () => whapi.sendMedia({ to: zoe, kind: 'image', media: 'https://shop.example/a.jpg', caption: 'Voilà' }),
      { type: 'image', text: 'Voilà', content: { caption: 'Voilà' } },
    ],
    [
      'video',
      () => whapi.sendMedia({ to: zoe, kind: 'video', media: 'https://shop.example/a.mp4' }),
      { type: 'video', text: null, content: {} },
    ],
    [
      'audio',
      () => whapi.sendMedia({ to: zoe, kind: 'audio', media: 'https://shop.example/a.mp3' }),
      { type: 'audio', text: null, content: {} },
    ],
    [
      'voice',
      () => whapi.sendMedia({ to: zoe, kind: 'voice', media: 'https://shop.example/a.ogg' }),
      { type: 'voice', text: null, content: {} },
    ],
    [
      'document',
      () =>
        whapi.sendMedia({
          to: zoe,
          kind: 'document',
          media: 'https://shop.example/a.pdf',
          mimeType: 'application/pdf',
          fileName: 'A.pdf',
        }),
      { type: 'document', text: null, content: { filename: 'A.pdf', mime_type: 'application/pdf' } },
    ],
    [
      'quick replies',
      () => whapi.sendQuickReplies({ to: zoe, text: 'Oui ?', quickReplies: [{ id: 'yes', title: 'Oui' }] }),
      {
        type: 'interactive',
        text: 'Oui ?',
        content: { action: { buttons: [{ type: 'quick_reply', id: 'yes', title: 'Oui' }] } },
      },
    ],
  ]
  test.each(sends)('%s', async (_name, send, { type, text, content }) => {
    const result = await send()
    expect(result).toEqual({
      outcome: 'sent',
      providerMessageId: expect.stringMatching(/^[A-Za-z0-9._]{4,23}-[A-Za-z0-9._]{4,14}$/),
      sentAt: expect.any(String),
    })
    expect(gateway.sent).toHaveLength(1)
    expect(gateway.sent[0]).toMatchObject({
      to: zoe,
      chatId: zoesChat,
      type,
      text,
      message: { from_me: true, source: 'api', status: 'pending', [type]: content },
    })
  })

  test('an answer quotes what it answers, and a full chat id is taken as it is', async () => {
    await whapi.sendText({ to: '120363194050948049@g.us', text: 'Oui', quoted: 'gAAR-gEcAA' })
    expect(gateway.sent[0]).toMatchObject({ chatId: '120363194050948049@g.us', quoted: 'gAAR-gEcAA' })
  })

  test("the caller's trace travels, but cannot replace our credentials", async () => {
    const recorder = openWhapi({ baseUrl: ourSide.url, token })
    await recorder.sendText({ to: zoe, text: 'x' }, { headers: { traceparent: '00-abc-def-01', authorization: 'Bearer other' } })
    expect(received[0]?.headers).toMatchObject({ traceparent: '00-abc-def-01', authorization: `Bearer ${token}` })
    await recorder.close()
  })
})

describe('what the gateway answers becomes a value', () => {
  const message = { id: 'gAAR-gEcAA', timestamp: 1726126124 }
  test.each([
    [
      { status: 200, body: { sent: true, message } },
      { outcome: 'sent', providerMessageId: 'gAAR-gEcAA', sentAt: '2024-09-12T07:28:44.000Z' },
    ],
    [
      { status: 201, body: { sent: true, message: { id: 'a' } } },
      { outcome: 'sent', providerMessageId: 'a', sentAt: '2026-01-02T03:04:05.000Z' },
    ],
    [
      { status: 200, body: { sent: false } },
      { outcome: 'refused', status: 200 },
    ],
    [{ status: 200, body: { sent: true } }, { outcome: 'unknown' }],
    [{ status: 200, body: { sent: true, message: { id: '' } } }, { outcome: 'unknown' }],
    [{ status: 200, body: [] }, { outcome: 'unknown' }],
    [
      { status: 302, headers: { location: 'http://elsewhere.invalid/' } },
      { outcome: 'refused', status: 302 },
    ],
    [{ status: 400 }, { outcome: 'refused', status: 400, message: 'simulated 400' }],
    [{ status: 401 }, { outcome: 'unauthorised', message: 'simulated 401' }],
    [{ status: 402 }, { outcome: 'refused', status: 402 }],
    [{ status: 403 }, { outcome: 'refused', status: 403 }],
    [{ status: 404 }, { outcome: 'refused', status: 404 }],
    [{ status: 408 }, { outcome: 'retry', status: 408, afterMs: null }],
    [{ status: 409 }, { outcome: 'refused', status: 409 }],
    [
      { status: 413, body: 'no JSON here' },
      { outcome: 'refused', status: 413, message: 'The gateway answered 413.' },
    ],
    [{ status: 429 }, { outcome: 'retry', status: 429, afterMs: null }],
    [
      { status: 429, headers: { 'retry-after': '3' } },
      { outcome: 'retry', status: 429, afterMs: 3_000 },
    ],
    [{ status: 503 }, { outcome: 'retry', status: 503 }],
    [{ status: 500 }, { outcome: 'unknown' }],
    [{ status: 502 }, { outcome: 'unknown' }],
    [{ status: 504 }, { outcome: 'unknown' }],
  ])('%j', async (answer, expected) => {
    const fixed = openWhapi({ baseUrl: gateway.url, token, now: () => new Date('2026-01-02T03:04:05Z') })
    gateway.faults.next({ kind: 'status', ...answer })
    expect(await fixed.sendText({ to: zoe, text: 'x' })).toMatchObject(expected)
    expect(gateway.sent).toHaveLength(0)
    await fixed.close()
  })

  test('no connection: to be repeated', async () => {
    const nowhere = await startWhapiSimulator({ token, channelId })
    await nowhere.close()
    const client = openWhapi({ baseUrl: nowhere.url, token })
    expect(await client.sendText({ to: zoe, text: 'x' })).toMatchObject({ outcome: 'retry', afterMs: null, status: null })
    await client.close()
  })

  test('a name that does not resolve: to be repeated', async () => {
    const client = openWhapi({ baseUrl: 'http://parley.invalid', token })
    expect(await client.sendText({ to: zoe, text: 'x' })).toMatchObject({ outcome: 'retry' })
    await client.close()
  })

  test("another channel's token is unauthorised, and so is a phone that was logged out", async () => {
    const stranger = openWhapi({ baseUrl: gateway.url, token: 'other' })
    expect(await stranger.sendText({ to: zoe, text: 'x' })).toMatchObject({ outcome: 'unauthorised' })
    await stranger.close()
    await gateway.setChannelStatus('QR')
    expect(await whapi.sendText({ to: zoe, text: 'x' })).toMatchObject({ outcome: 'unauthorised' })
    expect(await whapi.health()).toEqual({ outcome: 'unhealthy', status: 'QR' })
    await gateway.setChannelStatus('AUTH')
    expect(await whapi.health()).toEqual({ outcome: 'healthy', status: 'AUTH' })
  })

  test('a refusal that repeats our token to us does not give it away', async () => {
    const body = { error: { code: 401, message: 'Unauthorized', details: `token ${token} has expired` } }
    gateway.faults.always({ kind: 'status', status: 401, body }, () => true)
    for (const answer of [await whapi.sendText({ to: zoe, text: 'x' }), await whapi.health()]) {
      expect(answer).toMatchObject({ outcome: 'unauthorised', message: 'Unauthorized: token ••• has expired' })
    }
  })

  test('more buttons than WhatsApp takes are our own mistake and never leave the house', async () => {
    const quickReplies = ['a', 'b', 'c', 'd'].map((id) => ({ id, title: id }))
    await expect(whapi.sendQuickReplies({ to: zoe, text: 'x', quickReplies })).rejects.toThrow('quickReplies: give 1 to 3')
    expect(gateway.requests()).toBe(0)
  })
})

describe('an unknown outcome is looked up and found once', () => {
  const since = new Date(Date.now() - 1_000)
  const lost = { chatId: zoe, since, matches: (message: { text: string | null }) => message.text === 'Votre colis part demain' }

  test.each([
    ['the connection is cut before the answer', { kind: 'drop', acts: true }],
    ['the answer comes too late', { kind: 'delay', afterMs: 60_000 }],
    ['the answer never ends', { kind: 'hang_after_headers' }],
    ['the answer is cut in half', { kind: 'half_json' }],
    ['the answer is huge', { kind: 'oversize', bytes: 2_000_000 }],
    ['500 although the message went', { kind: 'status', status: 500, acts: true }],
    ['502 although the message went', { kind: 'status', status: 502, acts: true }],
  ] as const)('%s', async (_name, fault) => {
    const hasty = openWhapi({ baseUrl: gateway.url, token, timeoutMs: 300 })
    gateway.faults.next(fault)
    expect(await hasty.sendText({ to: zoe, text: 'Votre colis part demain' })).toMatchObject({ outcome: 'unknown' })
    expect(await whapi.findSent(lost)).toEqual({
      outcome: 'found',
      providerMessageId: gateway.sent[0]?.id,
      sentAt: expect.any(String),
    })
    expect(gateway.sent).toHaveLength(1)
    await hasty.close()
  })

  test.each([
    ['the connection is cut before the message is taken', { kind: 'drop', acts: false }],
    ['500 before the message is taken', { kind: 'status', status: 500 }],
  ] as const)('and proved absent: %s', async (_name, fault) => {
    await whapi.sendText({ to: zoe, text: 'something else' })
    gateway.faults.next(fault)
    expect(await whapi.sendText({ to: zoe, text: 'Votre colis part demain' })).toMatchObject({ outcome: 'unknown' })
    expect(await whapi.findSent(lost)).toEqual({ outcome: 'absent' })
  })

  test('a chat that the gateway does not know is a chat without our message', async () => {
    expect(await whapi.findSent(lost)).toEqual({ outcome: 'absent' })
  })

  test("the customer's own words are never taken for ours, nor is what we said before", async () => {
    await gateway.customerSends({ from: zoe, text: 'Votre colis part demain' })
    expect(await whapi.findSent(lost)).toEqual({ outcome: 'absent' })
    await whapi.sendText({ to: zoe, text: 'Votre colis part demain' })
    expect(await whapi.findSent({ ...lost, since: new Date(Date.now() + 5_000) })).toEqual({ outcome: 'absent' })
    const known = gateway.sent[0]?.id
    expect(await whapi.findSent({ ...lost, matches: ({ id }) => id !== known })).toEqual({ outcome: 'absent' })
  })

  test('a gateway that ignores our filters deceives nobody', async () => {
    const common = { type: 'text', chat_id: zoesChat, text: { body: 'Votre colis part demain' } }
    const seconds = Math.floor(since.getTime() / 1000)
    const messages = [
      { ...common, id: 'theirs-1234', from_me: false, timestamp: seconds + 1 },
      { ...common, id: 'older-1234', from_me: true, timestamp: seconds - 10 },
      'not a message',
    ]
    gateway.faults.next({ kind: 'status', status: 200, body: { messages } }, 1, ({ method }) => method === 'GET')
    expect(await whapi.findSent(lost)).toEqual({ outcome: 'absent' })
  })

  test('a message on a later page is found; one beyond what we read leaves us unsure', async () => {
    await whapi.sendText({ to: zoe, text: 'Votre colis part demain' })
    for (let i = 0; i < 250; i++) await whapi.sendText({ to: zoe, text: `later ${i}` })
    expect(await whapi.findSent(lost)).toMatchObject({ outcome: 'found' })
    for (let i = 0; i < 250; i++) await whapi.sendText({ to: zoe, text: `later still ${i}` })
    expect(await whapi.findSent(lost)).toMatchObject({ outcome: 'unsure' })
  })

  test.each([
    [{ kind: 'status', status: 401 }, 'unauthorised'],
    [{ kind: 'status', status: 429 }, 'retry'],
    [{ kind: 'status', status: 500 }, 'retry'],
    [{ kind: 'half_json' }, 'retry'],
    [{ kind: 'drop', acts: true }, 'retry'],
  ] as const)('a look-up that fails (%j) says so and claims nothing', async (fault, outcome) => {
    await whapi.sendText({ to: zoe, text: 'Votre colis part demain' })
    gateway.faults.always(fault, ({ method }) => method === 'GET')
    expect(await whapi.findSent(lost)).toMatchObject({ outcome })
  })
})

describe('reading', () => {
  test('a number is checked before it is written to', async () => {
    gateway.notOnWhatsapp.add('33100000000')
    expect(await whapi.checkContact('+33 6 39 98 00 01')).toEqual({ outcome: 'valid', chatId: zoesChat })
    expect(await whapi.checkContact('33100000000')).toEqual({ outcome: 'invalid' })
  })

  test("a customer's file comes with its bytes unharmed, within a ceiling", async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 256))
    gateway.addMedia('jpeg-a1b2', bytes, 'image/jpeg')
    expect(await whapi.getMedia('jpeg-a1b2')).toEqual({ outcome: 'found', bytes, mimeType: 'image/jpeg' })
    expect(await whapi.getMedia('jpeg-a1b2', { maxBytes: 1_000 })).toMatchObject({ outcome: 'refused', status: 413 })
    expect(await whapi.getMedia('gone-1')).toMatchObject({ outcome: 'refused', status: 404 })
  })
})

describe('the gateway calls our webhook', () => {
  test('a customer writes: the static headers, the event and the channel are there, times are whole seconds', async () => {
    listen()
    const at = new Date('2026-03-01T10:00:00.900Z')
    const answer = await gateway.customerSends({ from: zoe, name: 'Zoé', text: 'Où est ma commande ?', at })
    expect(answer).toEqual({ status: 200, body: '{}', attempts: 1, messageId: expect.any(String) })
    expect(received[0]?.headers).toMatchObject({ 'x-parley-secret': 's3', 'content-type': 'application/json' })
    expect(received[0]?.body).toEqual({
      messages: [
        {
          id: answer.messageId,
          from_me: false,
          type: 'text',
          chat_id: zoesChat,
          timestamp: 1_772_359_200,
          source: 'mobile',
          text: { body: 'Où est ma commande ?' },
          from: zoe,
          from_name: 'Zoé',
        },
      ],
      event: { type: 'messages', event: 'post' },
      channel_id: channelId,
    })
  })

  test('every kind of content travels under a key named like its type', async () => {
    listen()
    const contents = [
      says.text('Bonjour'),
      says.quoting('gAAR-gEcAA', says.text('Oui')),
      says.image({ caption: 'x' }),
      says.video(),
      says.sticker(),
      says.audio(),
      says.voice(),
      says.document('a.pdf'),
      says.location(48.85, 2.35),
      says.contact('Ça Va', '33639980003'),
      says.button('yes', 'Oui'),
      says.listRow('a', 'A'),
      says.order({ orderId: '1234567890' }),
      says.reaction('gAAR-gEcAA', '👍'),
      says.pollVote('gAAR-gEcAA', ['x']),
      says.system('changed the number'),
    ]
    for (const content of contents) await gateway.customerSends({ from: zoe, content })
    const messages = received.map(({ body }) => (body.messages as Record<string, unknown>[])[0])
    expect(messages.map((message) => typeof message?.[String(message.type)])).toEqual(contents.map(() => 'object'))
  })

  test('our own webhook adapter recognises all of it', async () => {
    listen()
    const sent = await whapi.sendQuickReplies({ to: zoe, text: '?', quickReplies: [{ id: 'yes', title: 'Oui' }] })
    await gateway.acknowledged()
    await gateway.customerPresses(sent.outcome === 'sent' ? sent.providerMessageId : '', 0, { from: zoe })
    const contents = [
      says.image({ caption: 'x', link: 'https://files.example/a.jpg' }),
      says.video(),
      says.sticker(),
      says.audio(),
      says.voice(),
      says.document('a.pdf'),
      says.location(48.85, 2.35, { name: 'Paris' }),
      says.contact('Ça Va', '33639980003'),
      says.listRow('a', 'A', 'the first'),
      says.order({ orderId: '1234567890' }),
      says.reaction('gAAR-gEcAA', '👍'),
      says.system('changed the number'),
      says.unknown(),
    ]
    for (const content of contents) await gateway.customerSends({ from: zoe, content })
    const { messageId } = await gateway.customerSends({ from: zoe, text: '3 boîtes' })
    await gateway.customerEdits(messageId, '2 boîtes')
    await gateway.customerDeletes(messageId)
    await gateway.setChannelStatus('QR')

    const items = received.flatMap(({ body, headers }) => {
      const receiptId = '0190a4ff-0000-7000-8000-000000000000'
      const read = whapiWebhook.normalise({
        headers: headers as never,
        body,
        receivedAt: new Date(),
        accountId: channelId,
        receiptId,
        bodySha256: 'ab',
      })
      return read.items
    })
    expect(items.length).toBeGreaterThanOrEqual(received.length)
    expect(items.filter(({ event }) => event?.type.type === 'webhook.unrecognised')).toEqual([])
    for (const { event } of items) if (event) expect(event.type.schema.safeParse(event.data).error).toBeUndefined()
    const data = (type: string) => items.filter(({ event }) => event?.type.type === type).map(({ event }) => event?.data)
    expect(data('message.received')).toContainEqual(
      expect.objectContaining({ content: expect.objectContaining({ choice: { id: 'yes', title: 'Oui' } }) }),
    )
    expect(data('message.status_changed')).toHaveLength(4)
    expect(data('message.edited')).toMatchObject([{ providerMessageId: messageId, text: '2 boîtes' }])
    expect(data('message.deleted')).toMatchObject([{ providerMessageId: messageId }])
    expect(data('message.reacted')).toHaveLength(1)
  })

  test('our own send is echoed and its statuses follow, in seconds as text', async () => {
    listen()
    const result = await whapi.sendText({ to: zoe, text: 'Merci !' })
    await gateway.acknowledged()
    const id = result.outcome === 'sent' ? result.providerMessageId : undefined
    const [echo, ...statuses] = received.map(({ body }) => body)
    expect(echo).toMatchObject({
      messages: [{ id, from_me: true, source: 'api', text: { body: 'Merci !' } }],
      event: { type: 'messages', event: 'post' },
    })
    const items = statuses.map((body) => (body.statuses as Record<string, unknown>[])[0])
    expect(items.map((item) => item?.status)).toEqual(['pending', 'sent', 'delivered', 'read'])
    expect(items[2]).toEqual({
      id,
      code: 3,
      status: 'delivered',
      recipient_id: zoesChat,
      timestamp: expect.stringMatching(/^\d{10}$/),
    })
  })

  test('statuses may come reversed and twice, or not at all', async () => {
    listen()
    gateway.behaviour.order = 'reversed'
    gateway.behaviour.copies = 2
    gateway.behaviour.statuses = ['sent', 'read']
    await whapi.sendText({ to: zoe, text: 'x' })
    await gateway.acknowledged()
    const seen = received.map(({ body }) => (body.statuses as { status: string }[] | undefined)?.[0]?.status ?? 'echo')
    expect(seen).toEqual(['read', 'read', 'sent', 'sent', 'echo', 'echo'])
    received = []
    gateway.behaviour.echo = false
    gateway.behaviour.statuses = []
    await whapi.sendText({ to: zoe, text: 'x' })
    await gateway.acknowledged()
    expect(received).toEqual([])
  })

  test('it tries again until we answer 2xx', async () => {
    listen()
    ourSide.faults.next({ kind: 'status', status: 500 }, 2)
    ourSide.faults.next({ kind: 'drop', acts: false })
    expect(await gateway.customerSends({ from: zoe, text: 'x', persist: true })).toMatchObject({ status: 200, attempts: 4 })
    expect(received).toHaveLength(1)
  })

  test('a test sees our refusal at once', async () => {
    listen()
    ourAnswer = 401
    expect(await gateway.customerSends({ from: zoe, text: 'x' })).toMatchObject({ status: 401, attempts: 1 })
  })

  test('a pressed button comes back with its prefix and the message it belongs to', async () => {
    listen()
    gateway.behaviour.echo = false
    gateway.behaviour.statuses = []
    const sent = await whapi.sendQuickReplies({ to: zoe, text: '?', quickReplies: [{ id: 'yes', title: 'Oui' }] })
    const id = sent.outcome === 'sent' ? sent.providerMessageId : ''
    await gateway.customerPresses(id, 0, { from: zoe })
    expect(received[0]?.body.messages).toMatchObject([
      {
        type: 'reply',
        reply: { type: 'buttons_reply', buttons_reply: { id: 'ButtonsV3:yes', title: 'Oui' } },
        context: { quoted_id: id },
      },
    ])
    await gateway.reports(id, 'failed', [{ code: 470, message: 'not delivered' }])
    expect(received[1]?.body.statuses).toMatchObject([{ id, status: 'failed', errors: [{ code: 470 }] }])
  })

  test('a phone that is logged out is reported on the channel', async () => {
    listen()
    await gateway.setChannelStatus('QR')
    expect(received[0]?.body).toMatchObject({ health: { status: { code: 3, text: 'QR' } }, event: { type: 'channel' } })
  })

  test('the webhook is set as the API sets it, with at most five headers', async () => {
    const hook = { url: `${ourSide.url}/set`, mode: 'body', headers: { 'x-parley-secret': 'from-settings' } }
    expect((await raw('PATCH', '/settings', { webhooks: [hook] })).status).toBe(200)
    await gateway.customerSends({ from: zoe, text: 'x' })
    expect(received[0]?.headers).toMatchObject({ 'x-parley-secret': 'from-settings' })
    const six = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => [name, 'x']))
    expect((await raw('PATCH', '/settings', { webhooks: [{ ...hook, headers: six }] })).status).toBe(400)
    expect((await raw('PATCH', '/settings', { webhooks: [{ ...hook, mode: 'method' }] })).status).toBe(400)
  })
})

describe('waiting for a send', () => {
  test('resolves for one that comes later, and rejects when none comes', async () => {
    const waited = gateway.waitForSent(({ text }) => text === 'now')
    await whapi.sendText({ to: zoe, text: 'now' })
    expect(await waited).toMatchObject({ text: 'now' })
    expect(await gateway.waitForSent(({ text }) => text === 'now')).toMatchObject({ text: 'now' })
    await expect(gateway.waitForSent(() => false, 5)).rejects.toThrow('No such message within 5 ms; the gateway took 1 messages')
  })
})

const fixtures = process.env.PARLEY_FIXTURES
describe.skipIf(!fixtures)('the published requests of the vendor (PARLEY_FIXTURES)', () => {
  const folder = join(fixtures ?? '', 'payloads', 'whapi')
  const published = (fixtures ? readdirSync(folder) : [])
    .filter((name) => /^skill_.*\.meta\.json$/.test(name))
    .map((name) => {
      const { notes, kind } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { notes: string; kind: string }
      const body = JSON.parse(readFileSync(join(folder, name.replace('.meta', '')), 'utf8')) as Record<string, unknown>
      return { name, notes, kind, body, tool: /Tool: (\w+)/.exec(notes)?.[1], wrong: notes.includes('WRONG') }
    })
  const paths: Record<string, string> = {
    sendMessageText: '/messages/text',
    sendMessageImage: '/messages/image',
    sendMessageDocument: '/messages/document',
    sendMessagePoll: '/messages/poll',
    sendMessageInteractive: '/messages/interactive',
  }
  // Some samples name no tool: what they carry says which send they are.
  const pathOf = ({ tool, kind, body }: (typeof published)[number]) =>
    tool
      ? paths[tool]
      : kind === 'api-request' && 'to' in body
        ? 'media' in body
          ? '/messages/image'
          : '/messages/text'
        : undefined
  const sends = published.flatMap((sample) => {
    const path = pathOf(sample)
    return path ? [{ ...sample, path }] : []
  })

  test('there are some', () => {
    expect(sends.length).toBeGreaterThanOrEqual(18)
  })

  test.each(sends.filter(({ wrong }) => !wrong))('$name is accepted by the simulator', async ({ path, body }) => {
    const response = await raw('POST', path, body)
    expect(response.status).toBe(201)
    expect(await response.json()).toMatchObject({
      sent: true,
      message: { id: expect.any(String), type: expect.any(String), from_me: true, timestamp: expect.any(Number) },
    })
  })

  test.each(sends.filter(({ wrong }) => wrong))(
    '$name, which the vendor calls wrong, is refused by the simulator',
    async ({ path, body }) => {
      expect((await raw('POST', path, body)).status).toBe(400)
    },
  )

  /** What our client writes for the same wish. */
  async function bodyOf(send: (client: Whapi) => Promise<unknown>): Promise<unknown> {
    received = []
    const recorder = openWhapi({ baseUrl: ourSide.url, token })
    await send(recorder)
    await recorder.close()
    return received[0]?.body
  }
  const text = (value: unknown) => String(value)

  test('our client writes texts, images and documents exactly as published', async () => {
    let compared = 0
    for (const { path, body, wrong } of sends) {
      // Typing time, edits and mentions are wishes that our client does not offer.
      if (wrong || 'typing_time' in body || 'edit' in body || 'mentions' in body) continue
      const to = text(body.to)
      const quoted = body.quoted === undefined ? {} : { quoted: text(body.quoted) }
      const file = {
        to,
        media: text(body.media),
        caption: text(body.caption),
        ...(body.mime_type ? { mimeType: text(body.mime_type) } : {}),
      }
      if (path === '/messages/text') {
        const preview = body.no_link_preview === true ? { linkPreview: false } : {}
        expect(await bodyOf((client) => client.sendText({ to, text: text(body.body), ...quoted, ...preview }))).toEqual(body)
      } else if (path === '/messages/image') {
        expect(await bodyOf((client) => client.sendMedia({ kind: 'image', ...file }))).toEqual(body)
      } else if (path === '/messages/document') {
        expect(await bodyOf((client) => client.sendMedia({ kind: 'document', ...file, fileName: text(body.filename) }))).toEqual(
          body,
        )
      } else continue
      compared += 1
    }
    expect(compared).toBeGreaterThanOrEqual(8)
  })

  test('our webhook for a text has the published fields', async () => {
    listen()
    await gateway.customerSends({ from: zoe, text: 'x' })
    const sample = published.find(({ kind, body }) => kind === 'webhook' && Array.isArray(body.messages) && 'event' in body)
      ?.body as { messages: object[] }
    expect(Object.keys(received[0]?.body ?? {}).sort()).toEqual(Object.keys(sample).sort())
    const [message] = (received[0]?.body.messages ?? []) as object[]
    expect(Object.keys(message ?? {}).sort()).toEqual(Object.keys(sample.messages[0] ?? {}).sort())
  })

  test('our status webhook has the published fields and types', async () => {
    listen()
    gateway.behaviour.echo = false
    gateway.behaviour.statuses = ['delivered']
    await whapi.sendText({ to: zoe, text: 'x' })
    await gateway.acknowledged()
    const types = (body: Record<string, unknown> | undefined) => {
      const [item] = (body?.statuses ?? []) as Record<string, unknown>[]
      return Object.fromEntries(Object.entries(item ?? {}).map(([key, value]) => [key, typeof value]))
    }
    const sample = JSON.parse(readFileSync(join(folder, 'waconector_ack.json'), 'utf8')) as Record<string, unknown>
    expect(types(received[0]?.body)).toEqual(types(sample))
  })
})
