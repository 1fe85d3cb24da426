import {
  consentChanged,
  conversationChanged,
  customerErased,
  type DataOf,
  messageAdded,
  messageFailed,
  messageSendRequested,
  messageSent,
} from '@parley/contracts'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { notifier } from '../src/service.ts'

const token = 'whapi-channel-token'
let gateway: WhapiSimulator
let world: World
let nextChat = 33_600_000_000

beforeAll(async () => {
  gateway = await startWhapiSimulator({ token, channelId: 'PHONE-1' })
  world = await startWorld({
    services: [notifier],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      NOTIFIER_WHAPI_GATEWAYS: gateway.url,
      NOTIFIER_WHATSAPP_PER_SECOND: '1000',
      NOTIFIER_WHAPI_LIST_LAG_SECONDS: '8',
    },
  })
  await setChannel('PHONE-1')
})
beforeEach(() => {
  gateway.faults.clear()
  gateway.behaviour.listLagMs = 0
})
afterAll(async () => {
  await world?.stop()
  await gateway?.close()
})

async function setChannel(accountId: string, body: Record<string, unknown> = {}) {
  const answer = await world.call('PUT', `/v1/channels/${accountId}`, { body: { token, ...body } })
  expect(answer.status).toBe(200)
  return answer.body
}

type Request = DataOf<typeof messageSendRequested>

function request(changes: Partial<Request> = {}): Request {
  return {
    conversationId: randomUUID(),
    messageId: randomUUID(),
    customerId: randomUUID(),
    channel: 'whatsapp',
    accountId: 'PHONE-1',
    chatId: `${nextChat++}@s.whatsapp.net`,
    text: 'Bonjour',
    attachment: null,
    quickReplies: [],
    replyToProviderMessageId: null,
    sender: 'agent',
    basedOnVersion: 1,
    requestedAt: new Date().toISOString(),
    ...changes,
  }
}

/** Asks for a message. */
async function send(changes: Partial<Request> = {}): Promise<Request> {
  const wanted = request(changes)
  await world.state('notifier', messageSendRequested, wanted)
  return wanted
}

const outcomesOf = async (message: Request) =>
  (await world.events('notifier')).filter(
    (event) =>
      [messageSent.type, messageFailed.type].includes(event.type) && (event.data as Request).messageId === message.messageId,
  )
const stateOf = async (message: Request) => (await world.call('GET', `/v1/outgoing-messages/${message.messageId}`)).body

/** Waits until the outcome of each message has been told, `times` times. */
async function settled(messages: Request | Request[], times = 1): Promise<void> {
  for (const message of [messages].flat()) {
    await expect.poll(async () => (await outcomesOf(message)).length, { timeout: 25_000, interval: 20 }).toBe(times)
  }
}

describe('a message that is to go out', () => {
  test('goes out once, and its provider id is told', async () => {
    const message = await send()
    await settled(message)
    const [entry] = gateway.sentTo(message.chatId)
    expect(gateway.sentTo(message.chatId)).toMatchObject([{ text: 'Bonjour', type: 'text' }])
    expect(await outcomesOf(message)).toMatchObject([
      { type: 'message.sent', data: { providerMessageId: entry?.id, foundByLookup: false } },
    ])
    expect(await stateOf(message)).toMatchObject({ state: 'sent', attempts: 1, providerMessageId: entry?.id })
  })

  test('asked for twice goes out once', async () => {
    const message = await send()
    await world.state('notifier', messageSendRequested, message)
    await settled(message)
    await world.settle()
    expect(gateway.sentTo(message.chatId)).toHaveLength(1)
  })

  test('waits for its turn: a chat hears its messages in the order they were asked for', async () => {
    const chatId = `${nextChat++}@s.whatsapp.net`
    const conversationId = randomUUID()
    const texts = Array.from({ length: 15 }, (_, index) => `line ${index}`)
    gateway.faults.next({ kind: 'status', status: 503 }, 2)
    for (const text of texts) await send({ chatId, conversationId, text })
    await expect.poll(() => gateway.sentTo(chatId).length, { timeout: 20_000, interval: 20 }).toBe(15)
    expect(gateway.sentTo(chatId).map((entry) => entry.text)).toEqual(texts)
  })

  test('goes out with its file and its quoted message', async () => {
    const attachment = {
      kind: 'image' as const,
      providerMediaId: null,
      url: 'https://shop.example/a.jpg',
      mimeType: 'image/jpeg',
      sizeBytes: null,
      fileName: null,
      durationSeconds: null,
      sha256: null,
    }
    const message = await send({ attachment, text: 'Look', replyToProviderMessageId: 'quoted-1' })
    await settled(message)
    expect(gateway.sentTo(message.chatId)).toMatchObject([{ type: 'image', text: 'Look', quoted: 'quoted-1' }])
  })

  test('goes out with buttons, or with numbered lines where buttons are refused', async () => {
    const quickReplies = [
      { id: 'y', title: 'Yes' },
      { id: 'n', title: 'No' },
    ]
    const withButtons = await send({ text: 'Sure?', quickReplies })
    await settled(withButtons)
    expect(gateway.sentTo(withButtons.chatId)).toMatchObject([{ type: 'interactive', text: 'Sure?' }])

    gateway.faults.always({ kind: 'status', status: 400 }, ({ path }) => path === '/messages/interactive')
    const typed = await send({ text: 'Sure?', quickReplies })
    await settled(typed)
    expect(gateway.sentTo(typed.chatId)).toMatchObject([{ type: 'text', text: 'Sure?\n\n1. Yes\n2. No' }])
  })
})

describe('when the answer is lost', () => {
  test('a message that went out is found and not sent again', async () => {
    gateway.faults.next({ kind: 'drop', acts: true })
    const message = await send({ text: 'only once' })
    await settled(message)
    expect(gateway.sentTo(message.chatId)).toHaveLength(1)
    expect(await outcomesOf(message)).toMatchObject([
      { type: 'message.sent', data: { foundByLookup: true, providerMessageId: gateway.sentTo(message.chatId)[0]?.id } },
    ])
  })

  test('a message that did not go out is sent after two look-ups, which do not take the same words sent before for it', async () => {
    const before = await send({ text: 'ok' })
    await settled(before)
    gateway.faults.next({ kind: 'drop', acts: false })
    const started = Date.now()
    const message = await send({ text: 'ok', chatId: before.chatId, conversationId: before.conversationId })
    await settled(message)
    expect(Date.now() - started).toBeGreaterThan(5_000)
    expect(await outcomesOf(message)).toMatchObject([{ type: 'message.sent', data: { foundByLookup: false } }])
    const ids = (await Promise.all([stateOf(before), stateOf(message)])).map(({ providerMessageId }) => providerMessageId)
    expect(ids).toEqual(gateway.sentTo(before.chatId).map((entry) => entry.id))
    expect(new Set(ids).size).toBe(2)
  })

  test('a message that the gateway lists only after six seconds is not sent a second time', async () => {
    gateway.behaviour.listLagMs = 6_000
    gateway.faults.next({ kind: 'drop', acts: true })
    const message = await send({ text: 'Message A, une seule fois' })
    await settled(message)
    await world.settle()
    expect(gateway.sentTo(message.chatId)).toHaveLength(1)
    expect(await outcomesOf(message)).toMatchObject([{ type: 'message.sent', data: { foundByLookup: true } }])
  })

  test('a message that did not go out is not sent again after the customer’s stop', async () => {
    gateway.faults.next({ kind: 'drop', acts: false })
    const message = await send({ text: 'too late' })
    const unknown = `select 1 from notifier.effects where effect_key = 'send:' || $1 and state = 'unknown'`
    await expect.poll(async () => (await world.sql(unknown, [message.messageId])).length, { timeout: 10_000 }).toBe(1)
    await world.state('notifier', consentChanged, stopOf(message.customerId))
    await settled(message)
    expect(gateway.sentTo(message.chatId)).toEqual([])
    expect(await outcomesOf(message)).toMatchObject([{ type: 'message.failed', data: { reason: 'no_consent' } }])
  })
})

const stopOf = (customerId: string): DataOf<typeof consentChanged> => ({
  customerId,
  channel: 'whatsapp',
  purpose: 'conversation',
  state: 'withdrawn',
  wording: 'STOP',
  messageId: randomUUID(),
  // As a gateway stamps it: whole seconds, before the answer that it met.
  changedAt: new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString(),
})

describe('a message that will not go out', () => {
  test('an answer is dropped when a person wrote after what it was based on', async () => {
    const conversationId = randomUUID()
    const human = {
      conversationId,
      conversationVersion: 5,
      messageId: randomUUID(),
      customerId: randomUUID(),
      channel: 'whatsapp' as const,
      accountId: 'PHONE-1',
      chatId: `${nextChat}@s.whatsapp.net`,
      sender: 'human' as const,
      content: {
        type: 'text' as const,
        text: 'I take over',
        attachments: [],
        location: null,
        contacts: [],
        choice: null,
        order: null,
      },
      wantsReply: false,
      addedAt: new Date().toISOString(),
    }
    await world.state('notifier', messageAdded, human as DataOf<typeof messageAdded>)
    await expect.poll(async () => (await world.sql('select 1 from notifier.conversation_guards')).length).toBe(1)
    const overtaken = await send({ conversationId, basedOnVersion: 4 })
    const later = await send({ conversationId, basedOnVersion: 5 })
    await settled([overtaken, later])
    expect(gateway.sentTo(overtaken.chatId)).toEqual([])
    expect(await outcomesOf(overtaken)).toMatchObject([{ type: 'message.failed', data: { reason: 'overtaken_by_person' } }])
    expect(await stateOf(overtaken)).toMatchObject({ state: 'dropped' })
    expect(gateway.sentTo(later.chatId)).toHaveLength(1)
  })

  test('an answer is held back when the customer said stop after it was asked for; the confirmation goes out', async () => {
    const customerId = randomUUID()
    // Asked for within the second that the provider stamped on the stop, which reached us a moment later.
    const earlier = new Date(Date.now() - 5).toISOString()
    const isKnown = 'select 1 from notifier.consent_withdrawals where customer_id = $1'
    await world.state('notifier', consentChanged, stopOf(customerId))
    await expect.poll(async () => (await world.sql(isKnown, [customerId])).length).toBe(1)
    const answer = await send({ customerId, requestedAt: earlier })
    const confirmation = await send({ customerId, requestedAt: earlier, sender: 'system', basedOnVersion: null })
    await settled([answer, confirmation])
    expect(await outcomesOf(answer)).toMatchObject([{ data: { reason: 'no_consent' } }])
    expect(gateway.sentTo(answer.chatId)).toEqual([])
    expect(gateway.sentTo(confirmation.chatId)).toHaveLength(1)
  })

  test('a refused one fails with the provider’s words, and what is behind it goes on', async () => {
    const chatId = `${nextChat++}@s.whatsapp.net`
    gateway.faults.next({ kind: 'status', status: 403, body: { error: { code: 403, message: 'recipient not allowed' } } })
    const refused = await send({ chatId })
    const next = await send({ chatId, conversationId: refused.conversationId, text: 'second' })
    await settled([refused, next])
    expect(await outcomesOf(refused)).toMatchObject([
      { data: { reason: 'refused', detail: expect.stringContaining('recipient not allowed') } },
    ])
    expect(gateway.sentTo(chatId)).toMatchObject([{ text: 'second' }])
    expect(await stateOf(next)).toMatchObject({ state: 'sent' })
  })

  test('one for a channel that nobody set up, or that is disabled, or that we cannot send on, fails at once', async () => {
    await setChannel('PHONE-OFF', { disabled: true })
    const messages = await Promise.all([
      send({ accountId: 'PHONE-NONE' }),
      send({ accountId: 'PHONE-OFF' }),
      send({ channel: 'sms' }),
    ])
    await settled(messages)
    for (const message of messages) expect(await outcomesOf(message)).toMatchObject([{ data: { reason: 'unreachable' } }])
  })

  test('can be sent again when a person says so, and only then', async () => {
    gateway.faults.next({ kind: 'status', status: 400 })
    const message = await send({ text: 'again' })
    await settled(message)
    expect(await stateOf(message)).toMatchObject({ state: 'failed' })
    const retry = await world.call('POST', `/v1/outgoing-messages/${message.messageId}/retry`)
    expect(retry).toMatchObject({ status: 202, body: { state: 'queued' } })
    await settled(message, 2)
    expect(gateway.sentTo(message.chatId)).toHaveLength(1)
    expect((await outcomesOf(message)).map((event) => event.type)).toEqual(['message.failed', 'message.sent'])
    expect((await world.call('POST', `/v1/outgoing-messages/${message.messageId}/retry`)).status).toBe(409)
  })
})

describe('a channel', () => {
  test('whose token is refused keeps its messages, says so once, and sends them all in order when it gets a new one', async () => {
    await setChannel('PHONE-2', { token: 'an-old-token' })
    const chatId = `${nextChat++}@s.whatsapp.net`
    const conversationId = randomUUID()
    const texts = ['one', 'two', 'three']
    const messages: Request[] = []
    for (const text of texts) messages.push(await send({ accountId: 'PHONE-2', chatId, conversationId, text }))
    const elsewhere = await send({ accountId: 'PHONE-2' })
    const parked = `select 1 from notifier.outgoing_messages where account_id = 'PHONE-2' and last_error is not null`
    await expect.poll(async () => (await world.sql(parked)).length).toBe(2)
    await world.settle()
    const listed = async () =>
      (await world.call('GET', '/v1/channels')).body.items.find(
        (channel: { accountId: string }) => channel.accountId === 'PHONE-2',
      )
    expect(await listed()).toMatchObject({ status: 'unauthorised', statusNote: expect.any(String) })
    for (const message of [...messages, elsewhere]) {
      expect(await stateOf(message)).toMatchObject({ state: 'queued' })
      expect(await outcomesOf(message)).toEqual([])
    }
    expect(await world.sql('select 1 from notifier.dead_letters')).toEqual([])

    await setChannel('PHONE-2')
    await settled([...messages, elsewhere])
    expect(gateway.sentTo(chatId).map((entry) => entry.text)).toEqual(texts)
    expect(gateway.sentTo(elsewhere.chatId)).toHaveLength(1)
    expect(await listed()).toMatchObject({ status: 'active', statusNote: null })
    // Runs that the new token asked for sent them; each still belongs to the chain of the event that wanted it.
    for (const message of [...messages, elsewhere]) {
      const [chain] = await world.sql<{ asked: string; effect: string; told: string }>(
        `select m.correlation_id as asked, e.correlation_id as effect, o.correlation_id as told from notifier.outgoing_messages m
         join notifier.effects e on e.effect_key = 'send:' || m.id || case when m.round = 1 then '' else ':' || m.round end
         join notifier.outbox o on o.type = 'message.sent' and o.envelope->'data'->>'messageId' = m.id::text where m.id = $1`,
        [message.messageId],
      )
      expect(chain?.asked).toBeTypeOf('string')
      expect(chain).toEqual({ asked: chain?.asked, effect: chain?.asked, told: chain?.asked })
    }
  })

  test('that waits for a token keeps nothing back that a person has overtaken, closed, or the customer stopped', async () => {
    await setChannel('PHONE-4', { token: 'an-old-token' })
    const refused = await send({ accountId: 'PHONE-4' })
    await expect.poll(async () => (await stateOf(refused)).lastError).toMatch(/token/)
    const ended = await Promise.all(Array.from({ length: 3 }, () => send({ accountId: 'PHONE-4' })))
    const [taken, closed, stopped] = ended as [Request, Request, Request]
    const byPerson = await send({
      accountId: 'PHONE-4',
      conversationId: closed.conversationId,
      sender: 'human',
      basedOnVersion: null,
    })
    const change = (message: Request, status: 'with_person' | 'closed'): DataOf<typeof conversationChanged> => ({
      conversationId: message.conversationId,
      customerId: message.customerId,
      previousStatus: 'open',
      status,
      assignee: null,
      conversationVersion: 2,
      changedBy: 'sam',
      changedAt: new Date().toISOString(),
    })
    await world.state('notifier', conversationChanged, change(taken, 'with_person'))
    await world.state('notifier', conversationChanged, change(closed, 'closed'))
    await world.state('notifier', consentChanged, stopOf(stopped.customerId))
    await settled(ended)
    const reasons = await Promise.all(ended.map(async (message) => (await outcomesOf(message))[0]?.data))
    expect(reasons).toMatchObject([
      { reason: 'overtaken_by_person' },
      { reason: 'overtaken_by_person' },
      { reason: 'no_consent' },
    ])
    await setChannel('PHONE-4')
    await settled([refused, byPerson])
    expect(ended.flatMap((message) => gateway.sentTo(message.chatId))).toEqual([])
    expect(gateway.sentTo(byPerson.chatId)).toHaveLength(1)
  })

  test('keeps its pace, whichever process sends', async () => {
    await setChannel('PHONE-SLOW', { perSecond: 10 })
    const replica = await world.startReplica()
    const messages = await Promise.all(Array.from({ length: 8 }, () => send({ accountId: 'PHONE-SLOW' })))
    await expect
      .poll(() => messages.filter((message) => gateway.sentTo(message.chatId).length === 1).length, {
        timeout: 15_000,
        interval: 20,
      })
      .toBe(8)
    await replica.stop()
    const times = messages.map((message) => gateway.sentTo(message.chatId)[0]?.at.getTime() as number).sort((a, b) => a - b)
    // Seven intervals of 100 ms; a little less, because only the start of each call is paced.
    expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThan(600)
  })

  test('never shows its token, and keeps it sealed', async () => {
    const { body } = await world.call('GET', '/v1/channels')
    expect(JSON.stringify(body)).not.toContain(token)
    expect(JSON.stringify(await world.sql('select * from notifier.channels'))).not.toContain(token)
  })

  test('is not pointed at an address of our own network', async () => {
    for (const baseUrl of ['http://127.0.0.1:1', 'http://169.254.169.254', 'ftp://x', 'nothing']) {
      expect((await world.call('PUT', '/v1/channels/PHONE-X', { body: { token, baseUrl } })).status).toBe(400)
    }
  })

  test('has a name that an event can carry, or is refused with the reason', async () => {
    for (const name of ['é'.repeat(34), '🌹'.repeat(17), 'x'.repeat(201)]) {
      const answer = await world.call('PUT', `/v1/channels/${encodeURIComponent(name)}`, { body: { token } })
      expect(answer).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(/accountId: is too long/) } } })
    }
    expect((await world.call('PUT', `/v1/channels/${encodeURIComponent('é'.repeat(33))}`, { body: { token } })).status).toBe(200)
  })

  test('has a token that a header can carry, or is refused', async () => {
    for (const unfit of ['éééééééé', 'two words', 'line\r\nx-admin: yes', '🌹'.repeat(8)])
      expect((await world.call('PUT', '/v1/channels/PHONE-X', { body: { token: unfit } })).status).toBe(400)
  })

  test('and its messages belong to their organization', async () => {
    const message = await send()
    await settled(message)
    expect((await world.call('GET', `/v1/outgoing-messages/${message.messageId}`, { key: world.otherKey })).status).toBe(404)
    expect((await world.call('POST', `/v1/outgoing-messages/${message.messageId}/retry`, { key: world.otherKey })).status).toBe(
      404,
    )
    expect((await world.call('GET', '/v1/channels', { key: world.otherKey })).body).toMatchObject({ items: [], total: 0 })
  })
})

test('erasing a customer removes words and chat, and drops what was still to go out', async () => {
  await setChannel('PHONE-3', { token: 'an-old-token' })
  const sent = await send({ text: 'private words' })
  await settled(sent)
  const waiting = await send({
    accountId: 'PHONE-3',
    chatId: sent.chatId,
    conversationId: sent.conversationId,
    text: 'private words',
  })
  const other = await send({ text: 'others stay' })
  await settled(other)
  await expect.poll(async () => (await stateOf(waiting)).lastError).toMatch(/token/)
  await world.state('notifier', customerErased, {
    customerId: sent.customerId,
    conversationIds: [sent.conversationId],
    channel: 'whatsapp',
    accountId: 'PHONE-1',
    chatIds: [sent.chatId],
    erasedAt: new Date().toISOString(),
  })
  await expect.poll(async () => (await stateOf(waiting)).state).toBe('dropped')
  expect(await stateOf(sent)).toMatchObject({ state: 'sent', text: null, chatId: null })
  expect(await stateOf(waiting)).toMatchObject({ state: 'dropped', text: null, chatId: null })
  expect(await stateOf(other)).toMatchObject({ state: 'sent', text: 'others stay' })
  const rows = JSON.stringify(await world.sql('select * from notifier.outgoing_messages'))
  expect(rows).not.toContain('private words')
  expect(rows).not.toContain(sent.chatId)
  await setChannel('PHONE-3')
  await world.settle()
  expect(gateway.sentTo(sent.chatId)).toHaveLength(1)
})
