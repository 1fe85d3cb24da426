import type { Channel } from '@parley/contracts'
import type { ColumnType, Generated } from 'kysely'
import type { DecisionRecord, Fact } from '../rules/decide-turn.ts'

type Timestamp = ColumnType<Date, Date | string, Date | string>
type TimestampNow = ColumnType<Date, Date | string | undefined, Date | string>
type Json<T> = ColumnType<T, string, string>
/** bigint comes as text: it exceeds what a number holds. */
type Int8 = ColumnType<string, number, number>

export interface Agents {
  organizationId: string
  id: string
  isDefault: Generated<boolean>
  name: string
  description: Generated<string>
  tone: Generated<'professional' | 'friendly' | 'casual' | 'formal' | 'empathetic'>
  language: Generated<'en' | 'fr' | 'es' | 'ar'>
  instructions: Generated<string>
  welcomeMessage: string | null
  model: string | null
  maxTokens: number | null
  confidenceThreshold: Generated<number>
  quietMs: number | null
  allowedLinkHosts: Generated<string[]>
  status: Generated<'active' | 'inactive' | 'draft'>
  version: Generated<number>
  createdAt: TimestampNow
  updatedAt: TimestampNow
}

interface Conversations {
  organizationId: string
  id: string
  customerId: string
  channel: Channel
  accountId: string
  chatId: string | null
  version: number
  closedVersion: Generated<number>
  lastHumanVersion: Generated<number>
  withPerson: Generated<boolean>
  personAt: Timestamp | null
  language: string | null
  modelFailures: Generated<number>
  retryAt: Timestamp | null
  erasedAt: Timestamp | null
  updatedAt: TimestampNow
}

export interface Messages {
  organizationId: string
  conversationId: string
  version: number
  id: string
  role: 'customer' | 'agent' | 'person' | 'system'
  text: string
  wantsReply: boolean
  turnId: string | null
  revision: Generated<number>
  quotedMessageId: string | null
  quote: string | null
  addedAt: Timestamp
  seenAt: Timestamp
}

export interface Turns {
  organizationId: string
  id: string
  conversationId: string
  agentId: string
  messageIds: string[]
  basedOnVersion: number
  outcome: 'replied' | 'handed_over' | 'silent'
  reason: string | null
  language: string | null
  intent: string | null
  sentiment: 'positive' | 'neutral' | 'negative' | null
  facts: Json<Fact[]>
  confidence: number | null
  needsPerson: boolean | null
  model: string | null
  simulated: boolean
  promptVersion: string | null
  promptHash: string | null
  promptTokens: Generated<number>
  completionTokens: Generated<number>
  costMicros: Int8
  durationMs: number
  errorClass: string | null
  decision: Json<DecisionRecord>
  erasedAt: Timestamp | null
  takenAt: Timestamp
}

interface SpendLedger {
  organizationId: string
  day: ColumnType<Date, string, string>
  reservedMicros: Int8
  settledMicros: Int8
  capMicros: Int8
}

interface SpendReservations {
  organizationId: string
  id: string
  turnId: string
  conversationId: string
  day: ColumnType<Date, string, string>
  reservedMicros: Int8
  settledMicros: ColumnType<string | null, number | null, number>
  createdAt: TimestampNow
  /** Null: reserved before months were kept. */
  month: ColumnType<Date | null, string | null, string | null>
}

interface SpendMonths {
  organizationId: string
  month: ColumnType<Date, string, string>
  reservedMicros: Int8
  settledMicros: Int8
}

/** What accounts last said an organization may use. */
interface Allowances {
  organizationId: string
  month: ColumnType<Date, string, string>
  timezone: string
  /** Null: no limit. */
  aiSpendMicros: ColumnType<string | null, number | null, number | null>
  stopped: string[]
  customersStoppedAt: Timestamp | null
  revision: number
}

export interface ModelConnections {
  organizationId: string
  connectionId: string
  status: string
  revision: number
  baseUrl: string | null
  model: string | null
  promptPriceMicros: ColumnType<string | null, number | null, number | null>
  completionPriceMicros: ColumnType<string | null, number | null, number | null>
  keyVersion: number | null
  wrappedKey: string | null
  sealed: string | null
}

export interface DB {
  agents: Agents
  modelConnections: ModelConnections
  conversations: Conversations
  messages: Messages
  turns: Turns
  spendLedger: SpendLedger
  spendReservations: SpendReservations
  spendMonths: SpendMonths
  allowances: Allowances
}
