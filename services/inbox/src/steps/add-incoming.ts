import { randomUUIDv7 } from 'node:crypto'
import {
  conversationChanged,
  type DataOf,
  messageAdded,
  type MessageContent,
  type messageReceived,
  type SenderKind,
} from '@parley/contracts'
import type { Emit, Tx } from '@parley/runtime'
import type { LockedConversation } from '../db/conversations.ts'
import { addMessage, type NewMessage } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { orderedAtIncoming, statusAfterMessage } from '../rules/conversation.ts'
import { applyEarlyArrivals } from './apply-changes.ts'
import { noteTakenOver } from './hand-over.ts'

export interface Incoming {
  data: DataOf<typeof messageReceived>
  sender: SenderKind
  wantsReply: boolean
  /** For an erasure request, which the others learn of as an erasure: they must not store it as one more message. */
  silent: boolean
  now: Date
}

type Tools = { tx: Tx<DB>; emit: Emit }

/**
 * Adds what a provider reported to a conversation that is held, tells the others, and applies what came for it too early.
 * Gives its id, or undefined when it was there already.
 */
export async function addIncoming(
  { tx, emit }: Tools,
  organizationId: string,
  conversation: LockedConversation,
  incoming: Incoming,
): Promise<string | undefined> {
  const { data, sender, wantsReply, now } = incoming
  const message = incomingMessage(conversation, incoming)
  const added = await addMessage(tx, organizationId, message)
  if (!added) return undefined
  if (incoming.silent) return message.id
  const reads = await applyEarlyArrivals({ tx, emit }, organizationId, added.early)
  const { id: conversationId, customerId, channel, accountId } = conversation
  emit(messageAdded, {
    conversationId,
    conversationVersion: added.version,
    messageId: message.id,
    customerId,
    channel,
    accountId,
    chatId: data.chatId,
    sender,
    content: asItReads(data.content, reads),
    wantsReply: wantsReply && !reads.deleted,
    quotes: added.quotes,
    addedAt: now.toISOString(),
  })
  if (message.conversationStatus !== conversation.status) {
    await announce({ tx, emit }, organizationId, conversation, message.conversationStatus, now)
  }
  return message.id
}

/** A text that was edited or deleted before it got here must not be answered as it first stood. */
function asItReads(content: MessageContent, reads: { text: string | null; deleted: boolean }): MessageContent {
  if (reads.deleted)
    return { type: content.type, text: null, attachments: [], location: null, contacts: [], choice: null, order: null }
  return reads.text === null ? content : { ...content, text: reads.text }
}

function incomingMessage(conversation: LockedConversation, { data, sender, wantsReply, now }: Incoming): NewMessage {
  const sentAt = new Date(data.sentAt)
  return {
    id: randomUUIDv7(),
    conversationId: conversation.id,
    sender,
    senderId: data.fromUs ? null : data.sender.id,
    senderName: data.fromUs ? null : data.sender.name,
    origin: data.origin,
    author: null,
    content: data.content,
    quickReplies: [],
    status: data.fromUs ? 'sent' : 'received',
    providerMessageId: data.providerMessageId,
    clientMessageId: null,
    turnId: null,
    replyToMessageId: null,
    replyToProviderMessageId: data.replyToProviderMessageId,
    wantsReply,
    basedOnVersion: null,
    confidence: null,
    model: null,
    simulated: null,
    sentAt,
    addedAt: now,
    orderedAt: orderedAtIncoming(sentAt, now),
    conversationStatus: statusAfterMessage(conversation.status, { sender, chatKind: data.chatKind }),
    agentReplyTimes: sender === 'human' ? [] : conversation.agentReplyTimes,
  }
}

async function announce(
  { tx, emit }: Tools,
  organizationId: string,
  conversation: LockedConversation,
  status: LockedConversation['status'],
  now: Date,
): Promise<void> {
  if (status === 'with_person') {
    await noteTakenOver({ tx, emit }, organizationId, conversation, now)
    return
  }
  emit(conversationChanged, {
    conversationId: conversation.id,
    customerId: conversation.customerId,
    previousStatus: conversation.status,
    status,
    assignee: conversation.assignee,
    changedBy: null,
    changedAt: now.toISOString(),
  })
}
