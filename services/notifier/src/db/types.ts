import type { Attachment, SenderKind } from '@parley/contracts'
import type { ColumnType, GeneratedAlways } from 'kysely'

type Timestamp = ColumnType<Date, Date | string, Date | string>

type Generated<T> =
  T extends ColumnType<infer S, infer I, infer U> ? ColumnType<S, I | undefined, U> : ColumnType<T, T | undefined, T>

/** jsonb goes in as text: the driver would turn a bare array into a Postgres array. */
type Json<T> = ColumnType<T, string, string>

export type ChannelState = 'active' | 'unauthorised' | 'disabled'
export type OutgoingState = 'queued' | 'sending' | 'sent' | 'failed' | 'dropped'

interface QuickReply {
  id: string
  title: string
}

export interface Channels {
  organizationId: string
  accountId: string
  channel: 'whatsapp'
  provider: 'whapi'
  baseUrl: string
  sealedToken: string | null
  tokenVersion: Generated<number>
  status: Generated<ChannelState>
  statusNote: string | null
  statusChangedAt: Generated<Timestamp>
  linkStatus: string | null
  linkNeedsPerson: Generated<boolean>
  linkChangedAt: Timestamp | null
  perSecond: number | null
  connectionId: string | null
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

export interface OutgoingMessages {
  organizationId: string
  id: string
  /** bigint: text in JavaScript. */
  position: GeneratedAlways<string>
  conversationId: string
  customerId: string
  channel: string
  accountId: string
  chatId: string | null
  chatDigest: string | null
  text: string | null
  attachment: Json<Attachment> | null
  quickReplies: Json<QuickReply[]>
  replyToProviderMessageId: string | null
  sender: SenderKind
  basedOnVersion: number | null
  state: Generated<OutgoingState>
  round: Generated<number>
  attempts: Generated<number>
  providerMessageId: string | null
  foundByLookup: boolean | null
  failure: string | null
  lastError: string | null
  requestedAt: Timestamp
  sentAt: Timestamp | null
  settledAt: Timestamp | null
  /** Of the chain that asked for it; null for those stored before this was kept. */
  correlationId: string | null
}

interface ConversationGuards {
  organizationId: string
  conversationId: string
  lastHumanVersion: number
}

interface ConsentWithdrawals {
  organizationId: string
  customerId: string
  channel: string
  withdrawnAt: Timestamp
}

interface RateSlots {
  organizationId: string
  accountId: string
  nextFreeAt: Timestamp
}

export interface Connections {
  organizationId: string
  connectionId: string
  accountId: string
  status: string
  revision: number
  credentialsHash: string | null
}

export interface DB {
  channels: Channels
  connections: Connections
  outgoingMessages: OutgoingMessages
  conversationGuards: ConversationGuards
  consentWithdrawals: ConsentWithdrawals
  rateSlots: RateSlots
}
