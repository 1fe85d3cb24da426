import { type DataOf, messageDeleted, messageEdited, messageReacted } from '@parley/contracts'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { inbox } from '../src/service.ts'
import { agentReplies, openChat, sent, stated } from './chat.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [inbox], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

type Chat = ReturnType<typeof openChat>
const at = () => new Date().toISOString()
const placeOf = ({ message }: Chat) => {
  const { chatKey, channel, provider, accountId, chatId, receiptId } = message(null)
  return { chatKey, channel, provider, accountId, chatId, receiptId }
}
const us = { id: 'CHANNL-TEST1', fromUs: true }
const customerOf = (chat: Chat) => ({ id: chat.chatId, fromUs: false })

/** What somebody does, in one chat, to a message that goes by this name. */
const acts = (chat: Chat, author: DataOf<typeof messageEdited>['author']) => ({
  edits: (providerMessageId: string, text: string) =>
    world.state('inbox', messageEdited, { ...placeOf(chat), providerMessageId, author, text, editedAt: at() }),
  deletes: (providerMessageId: string) =>
    world.state('inbox', messageDeleted, { ...placeOf(chat), providerMessageId, author, deletedAt: at() }),
  reacts: (targetProviderMessageId: string) =>
    world.state('inbox', messageReacted, {
      ...placeOf(chat),
      targetProviderMessageId,
      reactorId: chat.chatId,
      fromUs: false,
      emoji: '👍',
      reactedAt: at(),
    }),
})

/** A chat in which the customer asked and the shop's agent answered, by the names of the two messages. */
async function answered() {
  const chat = openChat(world)
  const question = await chat.says('Combien ?')
  await world.settle()
  await agentReplies(world, await chat.conversation(), { text: '100 euros' })
  await world.settle()
  const answer = `sent-${randomUUIDv7()}`
  await sent(world, await chat.answer(), answer)
  await world.settle()
  return { chat, question, answer }
}
const textsOf = async (chat: Chat) => (await chat.messages()).map(({ text }) => text)
const notes = () => world.sql<{ reason: string; event_type: string }>('select reason, event_type from inbox.event_notes')

describe('what was said stays what was said', () => {
  test('when a customer edits or deletes the shop’s words', async () => {
    const { chat, answer } = await answered()
    await acts(chat, customerOf(chat)).edits(answer, '10 euros')
    await acts(chat, customerOf(chat)).deletes(answer)
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Combien ?', '100 euros'])
    expect((await chat.messages()).map(({ status }) => status)).not.toContain('deleted')
    expect(await notes()).toEqual(
      expect.arrayContaining([
        { reason: 'not_theirs', event_type: 'message.edited' },
        { reason: 'not_theirs', event_type: 'message.deleted' },
      ]),
    )
  })

  test('when the shop’s phone is made to edit the customer’s words', async () => {
    const { chat, question } = await answered()
    await acts(chat, us).edits(question, 'Je prends tout')
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Combien ?', '100 euros'])
  })

  test('when somebody in another chat edits, deletes, reacts to or quotes it', async () => {
    const { chat, question, answer } = await answered()
    const stranger = openChat(world)
    await stranger.says('Bonjour')
    const strange = acts(stranger, customerOf(stranger))
    for (const name of [question, answer]) {
      await strange.edits(name, 'rewritten')
      await strange.deletes(name)
      await strange.reacts(name)
    }
    await stranger.says('And this?', { replyToProviderMessageId: answer })
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Combien ?', '100 euros'])
    expect(await stated(world, 'message.updated', (await chat.conversation()).id)).not.toContainEqual(
      expect.objectContaining({ change: expect.stringMatching(/edited|deleted|reacted/) }),
    )
    const quoting = await world.sql(
      `select reply_to_message_id, reply_to_provider_message_id from inbox.messages where text = 'And this?'`,
    )
    expect(quoting).toEqual([{ reply_to_message_id: null, reply_to_provider_message_id: answer }])
  })

  test('when an edit in another chat comes before the message whose name it uses', async () => {
    const [chat, stranger] = [openChat(world), openChat(world)]
    await stranger.says('Bonjour')
    const name = `m-${randomUUIDv7()}`
    await acts(stranger, customerOf(stranger)).edits(name, 'rewritten')
    await acts(stranger, customerOf(stranger)).deletes(name)
    await world.settle()
    await chat.says('Dix roses', { providerMessageId: name })
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Dix roses'])
    expect(await stated(world, 'message.added', (await chat.conversation()).id)).toMatchObject([
      { content: { text: 'Dix roses' } },
    ])
  })

  test('when somebody else’s edit in the same chat came before the message', async () => {
    const chat = openChat(world)
    const name = `m-${randomUUIDv7()}`
    await acts(chat, us).edits(name, 'Rien')
    await world.settle()
    await chat.says('Dix roses', { providerMessageId: name })
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Dix roses'])
  })
})

describe('who wrote', () => {
  test('may edit and delete, on either side, also before the message is known here', async () => {
    const { chat, question, answer } = await answered()
    await acts(chat, customerOf(chat)).edits(question, 'Combien pour dix ?')
    await acts(chat, us).edits(answer, '95 euros')
    const early = `m-${randomUUIDv7()}`
    await acts(chat, customerOf(chat)).edits(early, 'Une rose')
    await world.settle()
    await chat.says('Dix roses', { providerMessageId: early })
    await world.settle()
    expect(await textsOf(chat)).toEqual(['Combien pour dix ?', '95 euros', 'Une rose'])
    await acts(chat, customerOf(chat)).deletes(early)
    await world.settle()
    expect((await chat.messages()).map(({ status }) => status)).toContain('deleted')
  })

  test('in another chat may use a name that is taken elsewhere: their message is not lost', async () => {
    const { chat, question } = await answered()
    const other = openChat(world)
    await other.says('Une autre question', { providerMessageId: question })
    await world.settle()
    expect(await textsOf(other)).toEqual(['Une autre question'])
    expect(await textsOf(chat)).toEqual(['Combien ?', '100 euros'])
    // The provider deletes one of them and does not say in which chat: neither is touched.
    await chat.deletes(question)
    await world.settle()
    expect(await textsOf(other)).toEqual(['Une autre question'])
    expect(await textsOf(chat)).toEqual(['Combien ?', '100 euros'])
  })

  test('and the provider’s report of a failure never turns a customer’s own message into a failed one', async () => {
    const { chat, question } = await answered()
    await chat.reports(question, 'failed')
    await world.settle()
    expect((await chat.messages())[0]).toMatchObject({ text: 'Combien ?', status: 'received' })
  })
})

describe('a stop', () => {
  const consents = (customerId: string) =>
    world.sql<{ purpose: string; state: string }>(
      'select purpose, state from inbox.consent_states where customer_id = $1 order by purpose',
      [customerId],
    )

  test('is obeyed when a message is edited into one', async () => {
    const { chat, question } = await answered()
    await acts(chat, customerOf(chat)).edits(question, 'STOP svp')
    await world.settle()
    expect(await consents((await chat.conversation()).customer_id)).toEqual([
      { purpose: 'conversation', state: 'withdrawn' },
      { purpose: 'marketing', state: 'withdrawn' },
    ])
  })

  test('that may be one stops what goes out by itself, and asks a person', async () => {
    const chat = openChat(world)
    await chat.says("ne m'écrivez pas demain, je suis absent")
    await world.settle()
    const { id, customer_id: customerId, status } = await chat.conversation()
    expect(status).toBe('with_person')
    expect(await consents(customerId)).toEqual([{ purpose: 'marketing', state: 'withdrawn' }])
    expect(await stated(world, 'message.added', id)).toMatchObject([{ wantsReply: false }])
    expect(await stated(world, 'conversation.handed_over', id)).toMatchObject([
      { reason: 'asked_for_person', note: expect.stringContaining('no more messages') },
    ])
  })

  test('is obeyed in the customer’s own words, and confirmed in their language', async () => {
    const chat = openChat(world)
    await chat.says('Ne m’écrivez plus !')
    await world.settle()
    expect(await consents((await chat.conversation()).customer_id)).toHaveLength(2)
    expect((await chat.answer()).text).toContain('C’est noté')
  })
})
