import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import {
  Attachment,
  changeAuthor,
  Channel,
  chatFields,
  ChatKind,
  MessageContent,
  MessageStatus,
  MessageType,
  SenderKind,
  StatusError,
} from '../entities/message.ts'
import { ExternalId, Id, MessageText, Timestamp } from '../primitives.ts'

// --- stated by ingest, out of provider webhooks ---

export const messageReceived = defineEvent({
  type: 'message.received',
  version: 1,
  key: 'chatKey',
  summary: 'A provider reported a message in a chat: from the customer, or written on our own side (an echo).',
  data: z.object({
    ...chatFields,
    chatKind: ChatKind,
    chatName: z.string().max(512).nullable(),
    providerMessageId: ExternalId,
    /** True for what our side wrote: an echo of an API send, or a person typing on the phone itself. */
    fromUs: z.boolean(),
    /** How it was written, as the provider says it (mobile, web, api, system…). */
    origin: z.string().max(64).nullable(),
    /** The person who wrote. In a group it differs from the chat. `phone` is null for WhatsApp's hidden (@lid) ids. */
    sender: z.object({ id: ExternalId, phone: z.string().max(32).nullable(), name: z.string().max(512).nullable() }),
    content: MessageContent,
    replyToProviderMessageId: ExternalId.nullable(),
    sentAt: Timestamp,
    receiptId: Id,
  }),
})

export const messageEdited = defineEvent({
  type: 'message.edited',
  version: 1,
  key: 'chatKey',
  summary: 'The writer of a message changed its text.',
  data: z.object({
    ...chatFields,
    providerMessageId: ExternalId,
    author: changeAuthor,
    text: MessageText,
    editedAt: Timestamp,
    receiptId: Id,
  }),
})

export const messageDeleted = defineEvent({
  type: 'message.deleted',
  version: 1,
  key: 'chatKey',
  summary: 'A message, or with no id every message of the chat, was deleted at the provider.',
  data: z.object({
    ...chatFields,
    providerMessageId: ExternalId.nullable(),
    author: changeAuthor,
    deletedAt: Timestamp,
    receiptId: Id,
  }),
})

export const messageReacted = defineEvent({
  type: 'message.reacted',
  version: 1,
  key: 'chatKey',
  summary: 'Somebody put an emoji on a message, or with none took it away.',
  data: z.object({
    ...chatFields,
    targetProviderMessageId: ExternalId,
    reactorId: ExternalId,
    fromUs: z.boolean(),
    emoji: z.string().max(64).nullable(),
    reactedAt: Timestamp,
    receiptId: Id,
  }),
})

export const messageStatusChanged = defineEvent({
  type: 'message.status_changed',
  version: 1,
  key: 'chatKey',
  summary: 'The provider reported how far a message of ours got.',
  data: z.object({
    ...chatFields,
    providerMessageId: ExternalId,
    status: MessageStatus,
    errors: z.array(StatusError).max(20),
    changedAt: Timestamp,
    receiptId: Id,
  }),
})

// --- stated by inbox ---

/** An earlier message as another one quotes it, cut to what tells it from the others. */
const Quote = z.object({
  messageId: Id,
  sender: SenderKind,
  type: MessageType,
  text: z.string().max(1_000).nullable(),
  /** What its file, place or cart is called. */
  name: z.string().max(200).nullable(),
})
export type Quote = z.infer<typeof Quote>

export const messageAdded = defineEvent({
  type: 'message.added',
  version: 1,
  key: 'conversationId',
  summary: 'A conversation has a new message, whoever wrote it.',
  data: z.object({
    conversationId: Id,
    /** Rises by one with each message of the conversation; a reply states the version it was computed on. */
    conversationVersion: z.int().min(1),
    messageId: Id,
    customerId: Id,
    channel: Channel,
    accountId: ExternalId,
    chatId: ExternalId,
    sender: SenderKind,
    content: MessageContent,
    /** False when no agent may answer it: not from a customer, a group, a consent command, a conversation a person has taken. */
    wantsReply: z.boolean(),
    /** The earlier message of the conversation that it answers to. Null: none, or one that is not known or was deleted. */
    quotes: Quote.nullable().optional(),
    addedAt: Timestamp,
  }),
})

export const conversationStarted = defineEvent({
  type: 'conversation.started',
  version: 1,
  key: 'conversationId',
  summary: 'A customer opened a conversation.',
  data: z.object({
    conversationId: Id,
    customerId: Id,
    channel: Channel,
    accountId: ExternalId,
    chatId: ExternalId,
    startedAt: Timestamp,
  }),
})

export const conversationHandedOver = defineEvent({
  type: 'conversation.handed_over',
  version: 1,
  key: 'conversationId',
  summary: 'A conversation needs a person from here on; agents keep silent in it.',
  data: z.object({
    conversationId: Id,
    customerId: Id,
    /** `limit_reached`: of the plan; the note says which. `came_too_late`: an automatic answer by now would startle. */
    reason: z.enum([
      'asked_for_person',
      'model_unsure',
      'model_failed',
      'budget_spent',
      'bot_loop',
      'person_took_over',
      'limit_reached',
      'came_too_late',
    ]),
    note: z.string().max(2_000).nullable(),
    handedOverAt: Timestamp,
  }),
})

export const consentChanged = defineEvent({
  type: 'consent.changed',
  version: 1,
  key: 'customerId',
  summary: 'A customer allowed or stopped messages on a channel.',
  data: z.object({
    customerId: Id,
    channel: Channel,
    purpose: z.enum(['conversation', 'marketing']),
    state: z.enum(['granted', 'withdrawn']),
    /** The command as recognised (STOP, START…) and the message that carried it: the proof. */
    wording: z.string().max(200),
    messageId: Id,
    changedAt: Timestamp,
  }),
})

export const customerErased = defineEvent({
  type: 'customer.erased',
  version: 1,
  key: 'customerId',
  summary: 'A customer had their data erased; every service removes what it holds about them.',
  data: z.object({
    customerId: Id,
    conversationIds: z.array(Id).max(1_000),
    channel: Channel,
    accountId: ExternalId,
    /** Chats whose stored deliveries and events must go too. */
    chatIds: z.array(ExternalId).max(1_000),
    erasedAt: Timestamp,
  }),
})

// --- stated by agents, released by inbox, carried out by notifier ---

export const replyProposed = defineEvent({
  type: 'reply.proposed',
  version: 1,
  key: 'conversationId',
  summary: 'An agent drafted an answer; the conversation decides whether it still fits.',
  data: z.object({
    conversationId: Id,
    turnId: Id,
    /** The conversation version that the agent had read. */
    basedOnVersion: z.int().min(1),
    text: MessageText,
    quickReplies: z.array(z.object({ id: z.string().min(1).max(128), title: z.string().min(1).max(25) })).max(3),
    confidence: z.number().min(0).max(1),
    model: z.string().max(128),
    simulated: z.boolean(),
    handOver: z.boolean(),
  }),
})

export const turnTaken = defineEvent({
  type: 'turn.taken',
  version: 1,
  key: 'conversationId',
  summary: 'An agent read the waiting messages of a conversation and decided what to do.',
  data: z.object({
    conversationId: Id,
    turnId: Id,
    messageIds: z.array(Id).max(200),
    outcome: z.enum(['replied', 'handed_over', 'silent']),
    language: z.string().max(16).nullable(),
    intent: z.string().max(64).nullable(),
    sentiment: z.enum(['positive', 'neutral', 'negative']).nullable(),
    confidence: z.number().min(0).max(1).nullable(),
    model: z.string().max(128).nullable(),
    simulated: z.boolean(),
    promptVersion: z.string().max(64).nullable(),
    promptTokens: z.int().min(0),
    completionTokens: z.int().min(0),
    costMicros: z.int().min(0),
    durationMs: z.int().min(0),
    reason: z.string().max(200).nullable(),
  }),
})

export const messageSendRequested = defineEvent({
  type: 'message.send_requested',
  version: 1,
  key: 'conversationId',
  summary: 'A message of a conversation is to go out through its channel.',
  data: z.object({
    conversationId: Id,
    messageId: Id,
    customerId: Id,
    channel: Channel,
    accountId: ExternalId,
    chatId: ExternalId,
    text: MessageText.nullable(),
    attachment: Attachment.nullable(),
    quickReplies: z.array(z.object({ id: z.string().min(1).max(128), title: z.string().min(1).max(25) })).max(3),
    replyToProviderMessageId: ExternalId.nullable(),
    sender: SenderKind,
    /** For an agent's answer: it is dropped when a person wrote at a later version. Null: send whatever happened. */
    basedOnVersion: z.int().min(1).nullable(),
    requestedAt: Timestamp,
  }),
})

export const messageSent = defineEvent({
  type: 'message.sent',
  version: 1,
  key: 'conversationId',
  summary: 'The provider took a message of ours and named it.',
  data: z.object({
    conversationId: Id,
    messageId: Id,
    providerMessageId: ExternalId,
    /** True when the provider's answer was lost and a look-up found the message. */
    foundByLookup: z.boolean(),
    sentAt: Timestamp,
  }),
})

export const messageFailed = defineEvent({
  type: 'message.failed',
  version: 1,
  key: 'conversationId',
  summary: 'A message of ours will not go out.',
  data: z.object({
    conversationId: Id,
    messageId: Id,
    reason: z.enum(['refused', 'unreachable', 'unknown_outcome', 'overtaken_by_person', 'no_consent']),
    detail: z.string().max(1_024),
    failedAt: Timestamp,
  }),
})
