import type {
  Channel,
  ChatKind,
  ConversationStatus,
  MessageContent,
  MessageStatus,
  MessageType,
  SenderKind,
  StatusError,
} from '@parley/contracts'
import type { ColumnType, Generated } from 'kysely'
import type { z } from 'zod'

type Timestamp = ColumnType<Date, Date | string, Date | string>
type GeneratedTimestamp = ColumnType<Date, Date | string | undefined, Date | string>
type Json<T> = ColumnType<T, string, string>
/** xid8 and bigint come as text: they exceed what a number holds. */
type Big = ColumnType<string, never, never>

export type StoredContent = Omit<MessageContent, 'text'>
export type QuickReplies = { id: string; title: string }[]
export type StatusErrors = z.infer<typeof StatusError>[]

export interface Customers {
  organizationId: string
  id: string
  kind: ChatKind
  name: string | null
  status: Generated<'ORDERING' | 'AT_RISK' | 'STOPPED_ORDERING' | 'NO_ORDERS_YET'>
  version: Generated<number>
  createdAt: GeneratedTimestamp
  updatedAt: GeneratedTimestamp
  erasedAt: Timestamp | null
}

interface CustomerIdentities {
  organizationId: string
  id: string
  customerId: string
  channel: Channel
  accountId: string
  externalId: string
  phone: string | null
  createdAt: GeneratedTimestamp
}

interface Conversations {
  organizationId: string
  id: string
  customerId: string
  channel: Channel
  accountId: string
  chatId: string | null
  chatKind: ChatKind
  chatName: string | null
  source: string
  status: Generated<ConversationStatus>
  version: Generated<number>
  lastHumanVersion: Generated<number>
  lastMessageAt: Timestamp | null
  lastCustomerMessageAt: Timestamp | null
  unreadCount: Generated<number>
  messageCount: Generated<number>
  agentMessageCount: Generated<number>
  humanMessageCount: Generated<number>
  agentReplyTimes: Generated<Date[]>
  assignee: string | null
  note: string | null
  language: string | null
  intent: string | null
  sentiment: string | null
  handedOverAt: Timestamp | null
  handedOverReason: string | null
  handedOverNote: string | null
  handedOverTurnId: string | null
  erasedBefore: Timestamp | null
  erasedAt: Timestamp | null
  startedAt: Timestamp
  closedAt: Timestamp | null
  updatedAt: GeneratedTimestamp
}

export interface Messages {
  organizationId: string
  id: string
  conversationId: string
  channel: Channel
  accountId: string
  version: number | null
  sender: SenderKind
  senderId: string | null
  senderName: string | null
  origin: string | null
  author: string | null
  type: MessageType
  text: string | null
  content: Json<StoredContent>
  quickReplies: ColumnType<QuickReplies, string | undefined, string>
  status: MessageStatus
  statusRank: number
  statusErrors: ColumnType<StatusErrors, string | undefined, string>
  failureReason: string | null
  failureDetail: string | null
  providerMessageId: string | null
  clientMessageId: string | null
  turnId: string | null
  replyToMessageId: string | null
  replyToProviderMessageId: string | null
  wantsReply: Generated<boolean>
  basedOnVersion: number | null
  intent: string | null
  sentiment: string | null
  confidence: number | null
  model: string | null
  simulated: boolean | null
  sentAt: Timestamp | null
  addedAt: Timestamp
  orderedAt: Timestamp
  editedAt: Timestamp | null
  deletedAt: Timestamp | null
  erasedAt: Timestamp | null
}

interface MessageStatusHistory {
  organizationId: string
  id: string
  messageId: string
  status: MessageStatus
  applied: boolean
  errors: ColumnType<StatusErrors, string | undefined, string>
  changedAt: Timestamp
  recordedAt: GeneratedTimestamp
}

interface MessageEdits {
  organizationId: string
  id: string
  messageId: string
  change: 'edited' | 'deleted'
  text: string | null
  previousText: string | null
  previousContent: ColumnType<StoredContent | null, string | null, string | null>
  applied: boolean
  changedAt: Timestamp
}

interface MessageReactions {
  organizationId: string
  messageId: string
  reactorId: string
  fromUs: boolean
  emoji: string | null
  reactedAt: Timestamp
}

export interface EarlyArrivals {
  organizationId: string
  id: string
  kind: 'echo' | 'status' | 'edit' | 'deletion' | 'reaction'
  channel: Channel
  accountId: string
  chatId: string
  providerMessageId: string
  data: Json<unknown>
  occurredAt: Timestamp
  arrivedAt: Timestamp
}

export interface Consents {
  organizationId: string
  id: string
  customerId: string
  channel: Channel
  purpose: 'conversation' | 'marketing'
  state: 'granted' | 'withdrawn'
  wording: string
  messageId: string
  applied: boolean
  statedAt: Timestamp
  recordedAt: Timestamp
}

interface ConsentStates {
  organizationId: string
  customerId: string
  channel: Channel
  purpose: 'conversation' | 'marketing'
  state: 'granted' | 'withdrawn'
  statedAt: Timestamp
  consentId: string
}

interface Suppressions {
  organizationId: string
  identityHash: string
  erasedBefore: Timestamp
  createdAt: GeneratedTimestamp
}

interface Erasures {
  organizationId: string
  id: string
  customerId: string
  channel: Channel
  conversationIds: string[]
  messageCount: Generated<number>
  requestedAt: Timestamp
  erasedAt: Timestamp
  completedAt: Timestamp | null
}

interface EventNotes {
  organizationId: string
  id: string
  eventId: string
  eventType: string
  reason: string
  notedAt: Timestamp
}

/** The runtime's own table in this schema: read here by the live stream, never written. */
interface Outbox {
  seq: Big
  xid: Big
  id: ColumnType<string, never, never>
  organizationId: ColumnType<string, never, never>
  type: ColumnType<string, never, never>
  key: ColumnType<string, never, never>
  envelope: ColumnType<unknown, never, never>
  createdAt: ColumnType<Date, never, never>
}

export interface DB {
  customers: Customers
  customerIdentities: CustomerIdentities
  conversations: Conversations
  messages: Messages
  messageStatusHistory: MessageStatusHistory
  messageEdits: MessageEdits
  messageReactions: MessageReactions
  earlyArrivals: EarlyArrivals
  consents: Consents
  consentStates: ConsentStates
  suppressions: Suppressions
  erasures: Erasures
  eventNotes: EventNotes
  outbox: Outbox
}
