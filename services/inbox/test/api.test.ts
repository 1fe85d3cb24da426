import { randomUUIDv7 } from 'node:crypto'
import { conversationChanged, type DataOf, messageReceived } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { inbox } from '../src/service.ts'
import { openChat, serviceOf, stated, until } from './chat.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

describe('a person of the shop', () => {
  test('answers and has the conversation; the same clientMessageId is the same message', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const { id } = await chat.conversation()
    const post = (body: unknown) => world.call('POST', `/v1/conversations/${id}/messages`, { body })
    const answer = { text: 'Bonjour, ici Marc', clientMessageId: 'c-1' }
    const answers = await Promise.all([1, 2, 3].map(() => post(answer)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect((await post({ ...answer, text: 'something else' })).status).toBe(409)
    const [question] = await chat.messages()
    expect((await post({ ...answer, replyToMessageId: question?.id })).status).toBe(409)
    const names = { mimeType: null, providerMediaId: null, sizeBytes: null, durationSeconds: null, sha256: null, fileName: null }
    expect((await post({ ...answer, attachment: { ...names, kind: 'image', url: 'https://shop.example/a.jpg' } })).status).toBe(
      409,
    )
    expect(await stated(world, 'message.send_requested', id)).toMatchObject([{ sender: 'human', basedOnVersion: null }])
    expect(await stated(world, 'conversation.handed_over', id)).toMatchObject([{ reason: 'person_took_over' }])
    expect(await chat.conversation()).toMatchObject({ status: 'with_person', version: 2, unread_count: 0 })
  })

  test('is told of a text that no event holds, or in which nothing can be seen', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const { id } = await chat.conversation()
    const post = (body: unknown) => world.call('POST', `/v1/conversations/${id}/messages`, { body })
    for (const text of ['"'.repeat(32_768), '漢'.repeat(22_000), '\u200b\u2060', '\u3164 \u2800'])
      expect(await post({ text })).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid', details: [{ field: 'body.text' }] } },
      })
    // What fits by itself fits beside the longest of the others.
    const names = { mimeType: null, providerMediaId: null, sizeBytes: null, durationSeconds: null, sha256: null }
    const attachment = { ...names, kind: 'image', url: `https://shop.test/${'漢'.repeat(4_000)}`, fileName: '漢'.repeat(512) }
    expect((await post({ text: '漢'.repeat(13_600), attachment })).status).toBe(201)
    expect((await post({ text: 'a'.repeat(32_768) })).status).toBe(201)
    expect((await post({ text: '漢'.repeat(13_000) })).status).toBe(201)
  })

  test('is told which field is wrong', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const path = `/v1/conversations/${(await chat.conversation()).id}`
    for (const body of [{}, { text: '' }, { text: 'a', sender: 'agent' }, { text: 'a', replyToMessageId: randomUUIDv7() }]) {
      expect(await world.call('POST', `${path}/messages`, { body })).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid' } },
      })
    }
    for (const body of [{}, { status: 'lost' }, { status: 'closed', organizationId: world.otherOrganizationId }]) {
      expect((await world.call('PATCH', path, { body })).status).toBe(400)
    }
    expect((await world.call('GET', '/v1/conversations?limit=101')).status).toBe(400)
    expect((await world.call('GET', '/v1/conversations/none')).status).toBe(400)
  })

  test('quotes a message by its name at the provider', async () => {
    const chat = openChat(world)
    const providerMessageId = await chat.says('Vous avez du Doliprane ?')
    await world.settle()
    const { id } = await chat.conversation()
    const [question] = await chat.messages()
    await world.call('POST', `/v1/conversations/${id}/messages`, { body: { text: 'Oui', replyToMessageId: question?.id } })
    expect(await stated(world, 'message.send_requested', id)).toMatchObject([{ replyToProviderMessageId: providerMessageId }])
    const quotes = { messageId: question?.id, sender: 'user', type: 'text', text: question?.text, name: null }
    expect((await stated(world, 'message.added', id)).map((data) => data['quotes'])).toEqual([null, quotes])
  })

  test('takes over, gives back and closes; a customer who writes reopens', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const { id } = await chat.conversation()
    const set = async (body: unknown) => (await world.call('PATCH', `/v1/conversations/${id}`, { body })).body
    expect(await set({ status: 'with_person', assignee: 'marc' })).toMatchObject({
      assignee: 'marc',
      handedOverReason: 'person_took_over',
    })
    expect(await set({ status: 'open' })).toMatchObject({ status: 'open', assignee: 'marc', handedOverReason: null })
    expect(await set({ status: 'closed', markRead: true })).toMatchObject({ unreadCount: 0, closedAt: expect.any(String) })
    await chat.says('Encore moi')
    await world.settle()
    expect(await chat.conversation()).toMatchObject({ status: 'open', closed_at: null })
    const changes = await stated(world, 'conversation.changed', id)
    expect(changes.map((data) => data['status'])).toEqual(['with_person', 'open', 'closed', 'open'])
    // What the notifier holds queued answers against: a person's change without a word has the version it met.
    const { version } = await chat.conversation()
    expect(changes.map((data) => data['conversationVersion'])).toEqual([version - 1, version - 1, version - 1, undefined])
    expect(await stated(world, 'conversation.handed_over', id)).toHaveLength(1)
    expect((await stated(world, 'message.added', id)).at(-1)).toMatchObject({ wantsReply: true })
  })

  test('finds conversations and customers', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour', { sender: { id: chat.chatId, phone: `+${chat.digits}`, name: 'Aïcha 100%' } })
    await world.settle()
    const { id, customer_id: customerId } = await chat.conversation()
    const get = async (path: string) => (await world.call('GET', path)).body
    const mine = `user_id=${customerId}&channel=whatsapp`
    expect(await get(`/rest/v1/conversations?${mine}&status=open`)).toMatchObject({ total: 1, items: [{ id }] })
    expect(await get(`/v1/conversations?${mine}&status=closed`)).toMatchObject({ total: 0, items: [] })
    expect(await get(`/v1/customers?name=${encodeURIComponent('0%')}`)).toMatchObject({ total: 1, items: [{ id: customerId }] })
    expect(await get(`/v1/customers?phone=${encodeURIComponent(`+${chat.digits}`)}`)).toMatchObject({
      total: 1,
      items: [{ id: customerId }],
    })
    expect(await get(`/v1/customers/${customerId}`)).toMatchObject({
      name: 'Aïcha 100%',
      identities: [{ externalId: chat.chatId }],
    })
  })

  test('sees nothing of another organization, not even that it exists', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const { id, customer_id: customerId } = await chat.conversation()
    const [message] = await chat.messages()
    const paths = [
      `/v1/conversations/${id}`,
      `/v1/conversations/${id}/messages`,
      `/v1/messages/${message?.id}`,
      `/v1/customers/${customerId}`,
    ]
    for (const path of [...paths, `/v1/customers/${customerId}/consents`]) {
      const foreign = await world.call('GET', path, { key: world.otherKey })
      const unknown = await world.call('GET', path.replace(/[0-9a-f-]{36}/, randomUUIDv7()))
      expect(foreign.status).toBe(404)
      expect(foreign.body.error.message).toBe(unknown.body.error.message)
      expect((await world.call('GET', path)).status).toBe(200)
    }
    for (const list of ['conversations', 'customers', 'consents']) {
      expect((await world.call('GET', `/v1/${list}`, { key: world.otherKey })).body).toMatchObject({ total: 0, items: [] })
    }
    const close = { body: { status: 'closed' }, key: world.otherKey }
    expect((await world.call('PATCH', `/v1/conversations/${id}`, close)).status).toBe(404)
    const write = { body: { text: 'hello' }, key: world.otherKey }
    expect((await world.call('POST', `/v1/conversations/${id}/messages`, write)).status).toBe(404)
  })
})

describe('the live stream', () => {
  interface Told {
    id: string
    event: string
    data: { data: Record<string, unknown> }
  }

  /** Opens a stream; `next` waits for its next event. */
  async function listen(headers: Record<string, string> = {}) {
    const controller = new AbortController()
    const response = await fetch(`${world.running.url}/v1/stream`, {
      headers: { authorization: `Bearer ${world.key}`, ...headers },
      signal: AbortSignal.any([controller.signal, AbortSignal.timeout(20_000)]),
    })
    const events = eventsOf(response)
    const next = async (): Promise<Told> => {
      const { value, done } = await events.next()
      if (done) throw new Error('The stream ended.')
      return value
    }
    return { response, next, close: () => controller.abort() }
  }

  async function* eventsOf(response: Response): AsyncGenerator<Told, undefined> {
    let text = ''
    const decoder = new TextDecoder()
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const lines = new Map(
          block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        )
        const [id, event, data] = [lines.get('id'), lines.get('event'), lines.get('data')]
        if (id && event && data) yield { id, event, data: JSON.parse(data) }
      }
    }
    return undefined
  }

  test('tells what is committed, and resumes where it was left', async () => {
    const chat = openChat(world)
    const stream = await listen()
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream')
    await chat.says('en direct')
    expect((await stream.next()).event).toBe('conversation.started')
    const added = await stream.next()
    expect(added).toMatchObject({ event: 'message.added', data: { data: { content: { text: 'en direct' } } } })
    stream.close()
    await chat.says('pendant l’absence')
    await world.settle()
    const resumed = await listen({ 'last-event-id': added.id })
    await chat.says('au retour')
    const texts = [await resumed.next(), await resumed.next()].map(({ data }) => data.data['content'])
    expect(texts).toMatchObject([{ text: 'pendant l’absence' }, { text: 'au retour' }])
    resumed.close()
  })

  test('skips nothing when a transaction that began earlier commits later', async () => {
    const { database } = serviceOf(world)
    const origin = { organizationId: world.organizationId }
    const changed = (assignee: string): DataOf<typeof conversationChanged> => ({
      conversationId: randomUUIDv7(),
      customerId: randomUUIDv7(),
      previousStatus: 'open',
      status: 'open',
      assignee,
      changedBy: null,
      changedAt: new Date().toISOString(),
    })
    const stream = await listen()
    const began = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const slow = database.commit(origin, async (tx, { emit }) => {
      await sql`select pg_current_xact_id()`.execute(tx)
      began.resolve()
      await goOn.promise
      emit(conversationChanged, changed('began first'))
    })
    await began.promise
    await database.commit(origin, async (_tx, { emit }) => emit(conversationChanged, changed('committed first')))
    // The stream is woken by every commit and polls each second: it has had its chance to run ahead.
    await until(
      async () => (await world.sql(`select 1 from inbox.outbox where envelope::text like '%committed first%'`)).length > 0,
    )
    const first = stream.next()
    const early = await Promise.race([first.then(() => true), new Promise<false>((resolve) => setTimeout(resolve, 1_500, false))])
    expect(early).toBe(false)
    goOn.resolve()
    await slow
    const told = [await first, await stream.next()].map(({ data }) => data.data['assignee'])
    expect(told).toEqual(['began first', 'committed first'])
    stream.close()
  })

  test('needs a key and a place of its own', async () => {
    expect((await world.call('GET', '/v1/stream', { key: null })).status).toBe(401)
    const wrong = await world.call('GET', '/v1/stream', { headers: { 'last-event-id': 'yesterday' } })
    expect(wrong).toMatchObject({ status: 400, body: { error: { code: 'invalid' } } })
  })

  test('tells nothing of another organization', async () => {
    const stream = await listen()
    const foreign = openChat(world)
    await world.state('inbox', messageReceived, foreign.message('secret'), { organizationId: world.otherOrganizationId })
    await world.settle()
    const own = openChat(world)
    await own.says('à nous')
    expect((await stream.next()).data.data).toMatchObject({ chatId: own.chatId })
    stream.close()
  })

  test('does not keep the server from stopping', async () => {
    const stream = await listen()
    await world.restart()
    await expect(stream.next()).rejects.toThrow()
  })
})
