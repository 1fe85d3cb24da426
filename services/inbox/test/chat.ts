import { randomUUIDv7 } from 'node:crypto'
import {
  type DataOf,
  type Event,
  messageDeleted,
  messageEdited,
  messageReacted,
  messageReceived,
  messageSent,
  messageStatusChanged,
  replyProposed,
  turnTaken,
} from '@parley/contracts'
import type { ServiceDatabase } from '@parley/runtime'
import type { World } from '@parley/runtime/testing'
import type { App } from '../src/app.ts'
import type { DB } from '../src/db/types.ts'

const account = 'CHANNL-TEST1'
let numbers = 1_000

export interface StoredMessage {
  id: string
  conversation_id: string
  version: number | null
  sender: string
  text: string | null
  status: string
  failure_reason: string | null
  provider_message_id: string | null
}

/** One customer's chat in a test world: says what a provider would report, and reads what the inbox made of it. */
export function openChat(world: World) {
  const digits = `3363998${++numbers}`
  const chatId = `${digits}@s.whatsapp.net`
  const place = {
    chatKey: `whatsapp:${account}:${chatId}`,
    channel: 'whatsapp',
    provider: 'whapi',
    accountId: account,
    chatId,
  } as const
  const receiptId = randomUUIDv7()
  const at = (offsetMs = 0) => new Date(Date.now() + offsetMs).toISOString()

  const message = (text: string | null, more: Partial<DataOf<typeof messageReceived>> = {}): DataOf<typeof messageReceived> => ({
    ...place,
    chatKind: 'person',
    chatName: null,
    providerMessageId: `m-${randomUUIDv7()}`,
    fromUs: false,
    origin: 'mobile',
    sender: { id: chatId, phone: `+${digits}`, name: 'Zoé N’Diaye' },
    content: { type: 'text', text, attachments: [], location: null, contacts: [], choice: null, order: null },
    replyToProviderMessageId: null,
    sentAt: at(),
    receiptId,
    ...more,
  })

  const statusChange = (providerMessageId: string, status: DataOf<typeof messageStatusChanged>['status']) => ({
    ...place,
    providerMessageId,
    status,
    errors: [],
    changedAt: at(),
    receiptId,
  })

  const messages = () =>
    world.sql<StoredMessage>(
      `select m.* from inbox.messages m join inbox.conversations c on c.id = m.conversation_id
       where c.chat_id = $1 order by m.ordered_at, m.version, m.id`,
      [chatId],
    )

  return {
    chatId,
    digits,
    at,
    message,
    messages,
    async says(text: string | null, more: Partial<DataOf<typeof messageReceived>> = {}) {
      const data = message(text, more)
      await world.state('inbox', messageReceived, data)
      return data.providerMessageId
    },
    reports: (providerMessageId: string, status: DataOf<typeof messageStatusChanged>['status']) =>
      world.state('inbox', messageStatusChanged, statusChange(providerMessageId, status)),
    /** The same report as a handler sees it. */
    report: (providerMessageId: string, status: DataOf<typeof messageStatusChanged>['status']) => ({
      id: randomUUIDv7(),
      type: 'message.status_changed',
      version: 1,
      source: 'ingest',
      time: at(),
      key: place.chatKey,
      organizationId: world.organizationId,
      causationId: undefined,
      correlationId: 'test',
      traceparent: undefined,
      data: statusChange(providerMessageId, status),
    }),
    edits: (providerMessageId: string, text: string, editedAt = at()) =>
      world.state('inbox', messageEdited, { ...place, providerMessageId, text, editedAt, receiptId }),
    /** Whapi does not name the chat of a deleted message. */
    deletes: (providerMessageId: string) =>
      world.state('inbox', messageDeleted, {
        ...place,
        chatKey: `whatsapp:${account}:unknown`,
        chatId: 'unknown',
        providerMessageId,
        deletedAt: at(),
        receiptId,
      }),
    clears: () => world.state('inbox', messageDeleted, { ...place, providerMessageId: null, deletedAt: at(), receiptId }),
    reacts: (targetProviderMessageId: string, emoji: string | null, reactedAt = at()) =>
      world.state('inbox', messageReacted, {
        ...place,
        targetProviderMessageId,
        reactorId: chatId,
        fromUs: false,
        emoji,
        reactedAt,
        receiptId,
      }),
    async conversation() {
      const [row] = await world.sql<{ id: string; customer_id: string; version: number; status: string; unread_count: number }>(
        `select * from inbox.conversations where chat_id = $1`,
        [chatId],
      )
      if (!row) throw new Error('This chat has no conversation.')
      return row
    },
    /** The latest message that is not the customer's. */
    async answer() {
      const row = (await messages()).findLast(({ sender }) => sender !== 'user')
      if (!row) throw new Error('Nobody has answered in this chat.')
      return row
    },
  }
}

/** An agent's turn: its facts and its draft, in the order in which the agents service states them. */
export async function agentReplies(
  world: World,
  conversation: { id: string; version: number },
  reply: { text?: string; turnId?: string; handOver?: boolean; reason?: string } = {},
): Promise<void> {
  const turnId = reply.turnId ?? randomUUIDv7()
  const { text = 'Bonjour !', handOver = false, reason = null } = reply
  await world.state('inbox', turnTaken, {
    conversationId: conversation.id,
    turnId,
    messageIds: [],
    outcome: handOver ? 'handed_over' : 'replied',
    language: 'fr',
    intent: 'order',
    sentiment: 'neutral',
    confidence: 0.9,
    model: 'test-model',
    simulated: true,
    promptVersion: null,
    promptTokens: 0,
    completionTokens: 0,
    costMicros: 0,
    durationMs: 1,
    reason,
  })
  await world.state('inbox', replyProposed, {
    conversationId: conversation.id,
    turnId,
    basedOnVersion: conversation.version,
    text,
    quickReplies: [],
    confidence: 0.9,
    model: 'test-model',
    simulated: true,
    handOver,
  })
}

/** The provider took a message of ours. */
export const sent = (world: World, message: StoredMessage, providerMessageId: string) =>
  world.state('inbox', messageSent, {
    conversationId: message.conversation_id,
    messageId: message.id,
    providerMessageId,
    foundByLookup: false,
    sentAt: new Date().toISOString(),
  })

/** What was stated about one conversation or customer, in commit order. */
export async function stated(world: World, type: string, about: string): Promise<Record<string, unknown>[]> {
  const events = (await world.events('inbox', type)) as Event<Record<string, unknown>>[]
  return events.map(({ data }) => data).filter((data) => data['conversationId'] === about || data['customerId'] === about)
}

/** The inbox as it runs in this world, to work in its transactions. */
export function serviceOf(world: World): { app: App; database: ServiceDatabase<DB> } {
  const service = world.running.services.find(({ name }) => name === 'inbox')
  if (!service) throw new Error('No inbox runs in this world.')
  return service as unknown as { app: App; database: ServiceDatabase<DB> }
}

/** Asks again until it is so; throws after 20 seconds. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('It did not come to that in 20 seconds.')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
