import { randomUUIDv7 } from 'node:crypto'
import { type Attachment, messageAdded, type MessageContent, messageSendRequested, type SenderKind } from '@parley/contracts'
import type { Emit, Tx } from '@parley/runtime'
import type { LockedConversation } from '../db/conversations.ts'
import { addMessage, type NewMessage } from '../db/messages.ts'
import type { DB, QuickReplies } from '../db/types.ts'
import { orderedAtOutgoing, statusAfterMessage } from '../rules/conversation.ts'

export interface Outgoing {
  sender: Exclude<SenderKind, 'user'>
  text: string | null
  attachment?: Attachment | null
  quickReplies?: QuickReplies
  author?: string | null
  clientMessageId?: string | null
  replyTo?: { messageId: string; providerMessageId: string | null } | null
  agent?: { turnId: string; basedOnVersion: number; confidence: number; model: string; simulated: boolean; replyTimes: Date[] }
  chatId: string
  /** For the last word after an erasure: sent, but not told to others as one more message. */
  silent?: boolean
  now: Date
}

/**
 * Adds a message of ours to a conversation that is held and asks for its sending. Gives its id, or undefined when the same
 * turn's answer or the same message of a client is there already.
 */
export async function addOutgoing(
  { tx, emit }: { tx: Tx<DB>; emit: Emit },
  organizationId: string,
  conversation: LockedConversation,
  outgoing: Outgoing,
): Promise<string | undefined> {
  const message = outgoingMessage(conversation, outgoing)
  const added = await addMessage(tx, organizationId, message)
  if (!added) return undefined
  const { id: conversationId, customerId, channel, accountId } = conversation
  const { sender, chatId, text, attachment, replyTo } = outgoing
  const at = outgoing.now.toISOString()
  const place = { conversationId, messageId: message.id, customerId, channel, accountId, chatId, sender }
  if (!outgoing.silent) {
    const { version: conversationVersion, quotes } = added
    emit(messageAdded, { ...place, conversationVersion, content: message.content, wantsReply: false, quotes, addedAt: at })
  }
  emit(messageSendRequested, {
    ...place,
    text,
    attachment: attachment ?? null,
    quickReplies: message.quickReplies,
    replyToProviderMessageId: replyTo?.providerMessageId ?? null,
    basedOnVersion: message.basedOnVersion,
    requestedAt: at,
  })
  return message.id
}

/** The row of a message of ours, before it has been sent. */
export function outgoingMessage(conversation: LockedConversation, outgoing: Outgoing): NewMessage {
  const { sender, agent, replyTo, now } = outgoing
  return {
    id: randomUUIDv7(),
    conversationId: conversation.id,
    sender,
    senderId: null,
    senderName: null,
    origin: 'api',
    author: outgoing.author ?? null,
    content: contentOf(outgoing),
    quickReplies: outgoing.quickReplies ?? [],
    status: 'queued',
    providerMessageId: null,
    clientMessageId: outgoing.clientMessageId ?? null,
    turnId: agent?.turnId ?? null,
    replyToMessageId: replyTo?.messageId ?? null,
    replyToProviderMessageId: replyTo?.providerMessageId ?? null,
    wantsReply: false,
    basedOnVersion: agent?.basedOnVersion ?? null,
    confidence: agent?.confidence ?? null,
    model: agent?.model ?? null,
    simulated: agent?.simulated ?? null,
    sentAt: null,
    addedAt: now,
    orderedAt: orderedAtOutgoing(conversation.lastMessageAt, now),
    conversationStatus: statusAfterMessage(conversation.status, { sender, chatKind: conversation.chatKind }),
    agentReplyTimes: sender === 'human' ? [] : (agent?.replyTimes ?? conversation.agentReplyTimes),
  }
}

function contentOf({ text, attachment }: Outgoing): MessageContent {
  const attachments = attachment ? [attachment] : []
  return { type: attachment?.kind ?? 'text', text, attachments, location: null, contacts: [], choice: null, order: null }
}
