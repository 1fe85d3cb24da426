import { randomUUIDv7 } from 'node:crypto'
import { messageFailed } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { lockProviderMessageName } from '../src/db/early-arrivals.ts'
import { nameMessage } from '../src/db/message-status.ts'
import { applyStatus } from '../src/handlers/apply-status.ts'
import { inbox } from '../src/service.ts'
import { agentReplies, openChat, sent, serviceOf, stated, until } from './chat.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

describe('messages from a customer', () => {
  test('an album of ten from somebody new is one customer, one conversation, ten messages', async () => {
    const chat = openChat(world)
    await Promise.all(Array.from({ length: 10 }, (_, i) => chat.says(`photo ${i}`)))
    await world.settle()
    const conversation = await chat.conversation()
    const versions = (await chat.messages()).map(({ version }) => Number(version))
    expect(versions.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(await world.sql(`select 1 from inbox.customer_identities where external_id = $1`, [chat.chatId])).toHaveLength(1)
    expect(await stated(world, 'conversation.started', conversation.id)).toHaveLength(1)
    const added = await stated(world, 'message.added', conversation.id)
    expect(added.map((data) => data['conversationVersion'])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(added.every((data) => data['wantsReply'] === true)).toBe(true)
    expect(conversation).toMatchObject({ version: 10, unread_count: 10, status: 'open' })
  })

  test('the same message in fifty deliveries is there once', async () => {
    const chat = openChat(world)
    await Promise.all(Array.from({ length: 50 }, () => chat.says('Bonjour', { providerMessageId: 'once' })))
    await world.settle()
    expect(await chat.messages()).toHaveLength(1)
    expect(await chat.conversation()).toMatchObject({ version: 1, unread_count: 1 })
  })

  test('are read in the order in which they were sent, and numbered as they came', async () => {
    const chat = openChat(world)
    await chat.says('second', { sentAt: chat.at(-1_000) })
    await chat.says('first', { sentAt: chat.at(-60_000) })
    await chat.says('from the future', { sentAt: chat.at(3_600_000) })
    await world.settle()
    await chat.says('last')
    await world.settle()
    const read = (await chat.messages()).map(({ text, version }) => `${version} ${text}`)
    expect(read).toEqual(['2 first', '1 second', '3 from the future', '4 last'])
  })

  test('of every kind are kept; a group asks for no answer', async () => {
    const group = openChat(world)
    const sender = { id: '33600000009@s.whatsapp.net', phone: null, name: 'Paul' }
    await group.says('SUPPRIMER', { chatKind: 'group', chatName: 'Voisins', sender })
    const place = openChat(world)
    const location = { latitude: 48.85, longitude: 2.35, name: null, address: null }
    const content = { type: 'location', text: null, attachments: [], location, contacts: [], choice: null, order: null } as const
    await place.says(null, { content: { ...content, attachments: [], contacts: [] } })
    await world.settle()
    const { id, customer_id: customerId } = await group.conversation()
    expect(await stated(world, 'message.added', id)).toMatchObject([{ wantsReply: false, sender: 'user' }])
    expect((await world.call('GET', `/v1/customers/${customerId}`)).body).toMatchObject({
      name: 'Voisins',
      kind: 'group',
      erasure: null,
    })
    const read = await world.call('GET', `/v1/conversations/${(await place.conversation()).id}/messages`)
    expect(read.body.items[0].content).toMatchObject({ type: 'location', location })
  })

  test('one reported again with the address of its file is completed, not doubled', async () => {
    const chat = openChat(world)
    const image = (url: string | null) => ({
      ...chat.message('ça ?').content,
      type: 'image' as const,
      attachments: [
        {
          kind: 'image' as const,
          providerMediaId: 'x',
          url,
          mimeType: 'image/jpeg',
          sizeBytes: 1,
          fileName: null,
          durationSeconds: null,
          sha256: null,
        },
      ],
    })
    for (const url of [null, 'https://media.example/1.jpeg'])
      await chat.says(null, { providerMessageId: 'put-1', content: image(url) })
    await world.settle()
    expect(await chat.messages()).toHaveLength(1)
    const attachments = [{ url: 'https://media.example/1.jpeg' }]
    expect(await stated(world, 'message.updated', (await chat.conversation()).id)).toMatchObject([
      { change: 'completed', content: { attachments } },
    ])
  })
})

describe('changes of a message', () => {
  test('an edit shows its newest text, keeps the earlier ones, and tells the others', async () => {
    const chat = openChat(world)
    const id = await chat.says('3 boîtes')
    await chat.edits(id, '1 boîte', chat.at(2_000))
    await chat.edits(id, '2 boîtes', chat.at(1_000))
    await world.settle()
    const [row] = await chat.messages()
    expect(row?.text).toBe('1 boîte')
    const { body } = await world.call('GET', `/v1/messages/${row?.id}`)
    expect(body.edits).toMatchObject([
      { text: '2 boîtes', applied: false },
      { text: '1 boîte', previousText: '3 boîtes', applied: true },
    ])
    expect(await stated(world, 'message.updated', (await chat.conversation()).id)).toMatchObject([{ change: 'edited' }])
  })

  test('edit and reaction that come before their message are applied when it comes', async () => {
    const chat = openChat(world)
    await chat.edits('late-1', 'corrected')
    await chat.reacts('late-1', '👍')
    await world.settle()
    await chat.says('original', { providerMessageId: 'late-1' })
    await world.settle()
    expect(await chat.messages()).toMatchObject([{ text: 'corrected' }])
    const { id } = await chat.conversation()
    expect(await stated(world, 'message.added', id)).toMatchObject([{ content: { text: 'corrected' }, wantsReply: true }])
    const { body } = await world.call('GET', `/v1/conversations/${id}/messages`)
    expect(body.items[0].reactions).toMatchObject([{ emoji: '👍' }])
  })

  test('a message deleted before it came asks for no answer, and its words are only in its history', async () => {
    const chat = openChat(world)
    await chat.deletes('late-2')
    await world.settle()
    await chat.says('regretted', { providerMessageId: 'late-2' })
    await world.settle()
    const [row] = await chat.messages()
    expect(row).toMatchObject({ text: null, status: 'deleted' })
    const [added] = await stated(world, 'message.added', (await chat.conversation()).id)
    expect(added).toMatchObject({ wantsReply: false, content: { text: null } })
    const { body } = await world.call('GET', `/v1/messages/${row?.id}`)
    expect(body.edits).toMatchObject([{ change: 'deleted', previousText: 'regretted' }])
  })

  test('an old reaction that comes late does not bring back one that was taken away', async () => {
    const chat = openChat(world)
    const id = await chat.says('Merci')
    await chat.reacts(id, '👍', chat.at(1_000))
    await chat.reacts(id, null, chat.at(5_000))
    await chat.reacts(id, '👎', chat.at(2_000))
    await world.settle()
    const conversation = await chat.conversation()
    const { body } = await world.call('GET', `/v1/conversations/${conversation.id}/messages`)
    expect(body.items[0].reactions).toEqual([])
    const reactions = (await stated(world, 'message.updated', conversation.id)).map((data) => data['reaction'])
    expect(reactions).toMatchObject([{ emoji: '👍' }, { emoji: null }])
  })

  test('a cleared chat marks its messages and keeps what they said', async () => {
    const chat = openChat(world)
    await chat.says('un', { sentAt: chat.at(-5_000) })
    await chat.clears()
    await world.settle()
    const { body } = await world.call('GET', `/v1/conversations/${(await chat.conversation()).id}/messages`)
    expect(body.items).toMatchObject([{ content: { text: 'un' }, deletedAt: expect.any(String) }])
  })
})

describe('an agent’s answer', () => {
  test('is added, asked to be sent, and named by the provider', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const conversation = await chat.conversation()
    await agentReplies(world, conversation, { text: 'Bonjour Zoé' })
    await world.settle()
    expect(await stated(world, 'message.send_requested', conversation.id)).toMatchObject([
      { text: 'Bonjour Zoé', basedOnVersion: 1, sender: 'agent', chatId: chat.chatId },
    ])
    const reply = await chat.answer()
    expect(reply).toMatchObject({ version: 2, status: 'queued' })
    await sent(world, reply, 'p-1')
    await world.settle()
    expect(await chat.answer()).toMatchObject({ status: 'sent', provider_message_id: 'p-1' })
    const { body } = await world.call('GET', `/v1/conversations/${conversation.id}`)
    expect(body).toMatchObject({ language: 'fr', intent: 'order', agentMessageCount: 1, messageCount: 2 })
  })

  test('proposed twice goes out once', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const conversation = await chat.conversation()
    const turnId = randomUUIDv7()
    await agentReplies(world, conversation, { turnId })
    await agentReplies(world, conversation, { turnId })
    await world.settle()
    expect(await stated(world, 'message.send_requested', conversation.id)).toHaveLength(1)
    expect(await chat.messages()).toHaveLength(2)
  })

  test('is dropped, with its reason, when a person wrote meanwhile on the phone', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    const conversation = await chat.conversation()
    await chat.says('Je m’en occupe', { fromUs: true, origin: 'mobile' })
    await world.settle()
    await agentReplies(world, conversation)
    await chat.says('Merci')
    await world.settle()
    expect(await stated(world, 'message.send_requested', conversation.id)).toHaveLength(0)
    expect(await stated(world, 'conversation.handed_over', conversation.id)).toMatchObject([{ reason: 'person_took_over' }])
    const rows = (await chat.messages()).map(({ sender, status, failure_reason: reason }) => [sender, status, reason].join(' '))
    expect(rows.sort()).toEqual(['agent dropped overtaken_by_person', 'human sent ', 'user received ', 'user received '])
    expect((await stated(world, 'message.added', conversation.id)).at(-1)).toMatchObject({ sender: 'user', wantsReply: false })
  })

  test('that hands over is sent, and handed over once with its reason', async () => {
    const chat = openChat(world)
    await chat.says('Je veux parler à quelqu’un')
    await world.settle()
    const conversation = await chat.conversation()
    await agentReplies(world, conversation, { text: 'Un conseiller arrive', handOver: true, reason: 'asked_for_person' })
    await world.settle()
    expect(await stated(world, 'message.send_requested', conversation.id)).toHaveLength(1)
    expect(await stated(world, 'conversation.handed_over', conversation.id)).toMatchObject([{ reason: 'asked_for_person' }])
    expect(await chat.conversation()).toMatchObject({ status: 'with_person' })
  })

  test('number eleven in a row breaks the loop of two machines', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour, je suis un robot')
    await world.settle()
    const conversation = await chat.conversation()
    for (let i = 0; i < 12; i++) await agentReplies(world, conversation, { text: `réponse ${i}` })
    await world.settle()
    expect(await stated(world, 'message.send_requested', conversation.id)).toHaveLength(10)
    expect(await stated(world, 'conversation.handed_over', conversation.id)).toMatchObject([{ reason: 'bot_loop' }])
  })
})

describe('delivery reports', () => {
  async function queued(text = 'Oui') {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    await agentReplies(world, await chat.conversation(), { text })
    await world.settle()
    return { chat, reply: await chat.answer() }
  }

  test('move a message forward only, and every one is kept', async () => {
    const { chat, reply } = await queued()
    await sent(world, reply, 'p-2')
    await world.settle()
    for (const status of ['read', 'delivered', 'sent', 'delivered'] as const) await chat.reports('p-2', status)
    await world.settle()
    expect(await chat.answer()).toMatchObject({ status: 'read' })
    const { body } = await world.call('GET', `/v1/messages/${reply.id}`)
    const reports = body.statusHistory.map(({ status, applied }: { status: string; applied: boolean }) => `${status} ${applied}`)
    expect(reports).toEqual(['sent true', 'read true', 'delivered false', 'sent false', 'delivered false'])
    const told = await stated(world, 'message.updated', reply.conversation_id)
    expect(told.map((data) => data['status'])).toEqual(['sent', 'read'])
  })

  test('and echoes that come before the name is known find their message, never a second one', async () => {
    const { chat, reply } = await queued()
    const echo = { fromUs: true, origin: 'api', providerMessageId: 'p-3' }
    await chat.says('Oui', echo)
    await chat.reports('p-3', 'delivered')
    await world.settle()
    expect(await chat.messages()).toHaveLength(2)
    await sent(world, reply, 'p-3')
    await world.settle()
    await chat.says('Oui', echo)
    await world.settle()
    expect(await chat.messages()).toHaveLength(2)
    expect(await chat.answer()).toMatchObject({ status: 'delivered', provider_message_id: 'p-3' })
    expect(await chat.conversation()).toMatchObject({ status: 'open' })
    expect(await world.sql(`select 1 from inbox.early_arrivals where provider_message_id = 'p-3'`)).toHaveLength(0)
  })

  test('that cross with the naming of their message wait for it and are applied', async () => {
    const { chat, reply } = await queued()
    const { app, database } = serviceOf(world)
    const origin = { organizationId: world.organizationId }
    const named = Promise.withResolvers<void>()
    // As the handler of message.sent does, only slowly: the report is handled while the name is given and not yet committed.
    const naming = database.commit(origin, async (tx) => {
      await lockProviderMessageName(tx, world.organizationId, 'p-4')
      const name = { providerMessageId: 'p-4', sentAt: new Date(), historyId: randomUUIDv7() }
      await nameMessage(tx, world.organizationId, reply.id, name)
      named.resolve()
      await until(async () => (await world.sql(`select 1 from pg_locks where locktype = 'advisory' and not granted`)).length > 0)
    })
    await named.promise
    const event = chat.report('p-4', 'delivered')
    await Promise.all([
      naming,
      database.commit(origin, (tx, tools) => applyStatus.run({ event, app, tx, together: () => undefined, ...tools })),
    ])
    expect(await chat.answer()).toMatchObject({ status: 'delivered' })
  })

  test.each([
    ['overtaken_by_person', 'dropped'],
    ['refused', 'failed'],
  ] as const)('a message that is %s is %s', async (reason, status) => {
    const { chat, reply } = await queued()
    const failed = { conversationId: reply.conversation_id, messageId: reply.id, reason, detail: 'because', failedAt: chat.at() }
    await world.state('inbox', messageFailed, failed)
    await world.settle()
    expect(await chat.answer()).toMatchObject({ status, failure_reason: reason })
  })

  test('a message of unknown outcome is sent after all when the provider knows it', async () => {
    const { chat, reply } = await queued()
    const failed = { conversationId: reply.conversation_id, messageId: reply.id, detail: 'no answer', failedAt: chat.at() }
    await world.state('inbox', messageFailed, { ...failed, reason: 'unknown_outcome' })
    await world.settle()
    expect(await chat.answer()).toMatchObject({ status: 'failed' })
    await sent(world, reply, 'p-found')
    await world.settle()
    expect(await chat.answer()).toMatchObject({ status: 'sent', failure_reason: null })
  })
})

describe('an echo that nobody claims', () => {
  /** Lets the waiting echoes of this world grow old, and the job look at them now. */
  async function tenMinutesLater() {
    await world.sql(`update inbox.early_arrivals set arrived_at = arrived_at - interval '11 minutes'`)
    await world.sql(`update inbox_jobs.job set start_after = now() where name = 'settle-early-arrivals' and state < 'active'`)
    await until(async () => (await world.sql(`select 1 from inbox.early_arrivals where kind = 'echo'`)).length === 0)
    await world.settle()
  }

  test('with the words of a message of unknown outcome proves that it went out', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    await agentReplies(world, await chat.conversation(), { text: 'Je vérifie' })
    await world.settle()
    const reply = await chat.answer()
    const failed = { conversationId: reply.conversation_id, messageId: reply.id, detail: 'no answer', failedAt: chat.at() }
    await world.state('inbox', messageFailed, { ...failed, reason: 'unknown_outcome' })
    await chat.says('Je vérifie', { fromUs: true, origin: 'api', providerMessageId: 'p-5' })
    await chat.reports('p-5', 'read')
    await world.settle()
    await tenMinutesLater()
    expect(await chat.messages()).toHaveLength(2)
    expect(await chat.answer()).toMatchObject({ status: 'read', provider_message_id: 'p-5', failure_reason: null })
  })

  test('was written by another tool, and becomes a message; when its original turns up, it is withdrawn', async () => {
    const chat = openChat(world)
    await chat.says('Bonjour')
    await world.settle()
    await agentReplies(world, await chat.conversation(), { text: 'Promo -20 %' })
    await world.settle()
    const reply = await chat.answer()
    await chat.says('Promo −20 %', { fromUs: true, origin: 'api', providerMessageId: 'p-6' })
    await world.settle()
    await tenMinutesLater()
    expect(await chat.messages()).toHaveLength(3)
    expect(await chat.answer()).toMatchObject({ sender: 'system', provider_message_id: 'p-6' })
    await sent(world, reply, 'p-6')
    await world.settle()
    const rows = await chat.messages()
    expect(rows.filter(({ provider_message_id: name }) => name === 'p-6')).toMatchObject([{ id: reply.id, status: 'sent' }])
    expect(rows.find(({ sender }) => sender === 'system')).toMatchObject({
      status: 'dropped',
      failure_reason: 'duplicate_of_sent',
    })
  })
})
