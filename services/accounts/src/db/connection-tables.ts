import type { ConnectionProvider, ConnectionStatus } from '@parley/contracts'
import type { ColumnType } from 'kysely'

type Timestamp = ColumnType<Date, Date | string, Date | string>
type Generated<T> =
  T extends ColumnType<infer S, infer I, infer U> ? ColumnType<S, I | undefined, U> : ColumnType<T, T | undefined, T>
type Json<T> = ColumnType<T, string, string>

/** What is not secret of a connection. */
export type ConnectionSettings = Record<string, string | number | boolean | null>

interface EncryptionKeys {
  organizationId: string
  version: number
  wrapped: string | null
  createdAt: Generated<Timestamp>
  wrappedAt: Generated<Timestamp>
  retiredAt: Timestamp | null
}

interface KeyHolders {
  holder: string
  wrappedBy: string
}

export interface Connections {
  organizationId: string
  connectionId: string
  provider: ConnectionProvider
  integrationType: string
  providerVersion: string | null
  displayName: string
  accountId: string | null
  settings: Json<ConnectionSettings>
  sealedCredentials: string | null
  keyVersion: number | null
  credentialHints: Json<Record<string, string>>
  credentialsChangedAt: Timestamp
  capabilities: string[]
  status: ConnectionStatus
  statusReason: string | null
  errorCount: Generated<number>
  lastError: string | null
  lastErrorAt: Timestamp | null
  lastSyncAt: Timestamp | null
  lastTestedAt: Timestamp | null
  unreachedTests: Generated<number>
  syncFrequencyMinutes: number | null
  rateLimitRemaining: number | null
  rateLimitResetAt: Timestamp | null
  webhookSourceId: string | null
  webhookTokenHash: string | null
  webhookHeaderName: string | null
  revision: Generated<number>
  createdBy: string
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
  removedAt: Timestamp | null
}

export interface ConnectionTables {
  encryptionKeys: EncryptionKeys
  keyHolders: KeyHolders
  connections: Connections
}
