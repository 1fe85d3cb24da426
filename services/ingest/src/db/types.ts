import type { ProviderName } from '@parley/contracts'
import type { ColumnType } from 'kysely'

type Timestamp = ColumnType<Date, Date | string, Date | string>
type Generated<T> =
  T extends ColumnType<infer S, infer I, infer U> ? ColumnType<S, I | undefined, U> : ColumnType<T, T | undefined, T>

export type SourceStatus = 'active' | 'disabled'
export type ReceiptState = 'done' | 'ignored' | 'dead'

export interface WebhookSources {
  organizationId: string
  id: string
  provider: ProviderName
  accountId: string | null
  name: string
  tokenHash: Buffer | null
  headerName: string | null
  sealedHeaderCurrent: string | null
  sealedHeaderPrevious: string | null
  headerRotatedAt: Timestamp | null
  sealedSigningCurrent: string | null
  sealedSigningPrevious: string | null
  signingRotatedAt: Timestamp | null
  status: Generated<SourceStatus>
  lastReceivedAt: Timestamp | null
  connectionId: string | null
  connectionRevision: number | null
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

export interface Receipts {
  organizationId: string
  id: string
  sourceId: string
  provider: ProviderName
  topic: string
  state: ReceiptState
  note: string | null
  headers: ColumnType<Record<string, string>, string, string>
  body: Buffer | null
  bodySha256: string
  size: number
  eventCount: number
  duplicateCount: Generated<number>
  correlationId: string
  receivedAt: Timestamp
  providerTime: Timestamp | null
  attempts: Generated<number>
  error: string | null
  replayedAt: Timestamp | null
}

interface ReceiptItems {
  organizationId: string
  sourceId: string
  itemKey: string
  receiptId: string
  chatKey: string | null
  eventType: string | null
}

interface DuplicateItems {
  organizationId: string
  receiptId: string
  sourceId: string
  itemKey: string
  firstReceiptId: string
  chatKey: string | null
}

interface ToldStates {
  organizationId: string
  sourceId: string
  subject: string
  value: string
  receiptId: string
  toldAt: Timestamp
}

interface ReceiptOwners {
  owner: string
}

export interface DB {
  webhookSources: WebhookSources
  receipts: Receipts
  receiptItems: ReceiptItems
  duplicateItems: DuplicateItems
  toldStates: ToldStates
  receiptOwners: ReceiptOwners
}
