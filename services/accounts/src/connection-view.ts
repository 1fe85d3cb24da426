import { ConnectionProvider, ConnectionStatus, Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import type { Connection } from './db/connections.ts'
import { IntegrationType } from './integration.ts'

export const ConnectionView = z.object({
  id: Id,
  provider: ConnectionProvider,
  integrationType: IntegrationType,
  providerVersion: z.string().nullable(),
  accountId: z.string().nullable(),
  displayName: z.string(),
  /** `pending`: the provider could not be asked yet; `error`: it refuses the credentials. */
  status: ConnectionStatus,
  statusReason: z.string().nullable(),
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  credentials: z
    .record(z.string(), z.string())
    .describe('By field, masked: `•••` and the last four characters. They cannot be had again.'),
  capabilities: z.array(z.string()),
  /** Failures in a row. */
  errorCount: z.int(),
  lastError: z.string().nullable(),
  lastErrorAt: Timestamp.nullable(),
  /** When the provider last took the credentials. */
  lastSyncAt: Timestamp.nullable(),
  lastTestedAt: Timestamp.nullable(),
  syncFrequencyMinutes: z.int().nullable(),
  rateLimit: z.object({ remaining: z.int(), resetAt: Timestamp }).nullable(),
  /** The door for the provider's webhooks, when there is one. */
  webhookSourceId: Id.nullable(),
  revision: z.int(),
  createdBy: z.string(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  removedAt: Timestamp.nullable(),
})

/** What a change answers: the connection, what its provider said, and what is shown this once. */
export const Shown = ConnectionView.extend({
  webhook: z
    .object({
      url: z.string().describe("To paste into the provider's settings, with the header when there is one."),
      path: z.string(),
      header: z.object({ name: z.string(), value: z.string() }).nullable(),
    })
    .nullable()
    .describe('Shown when it is made, and never again. Null when it did not change.'),
  test: z
    .object({ outcome: z.enum(['ok', 'refused', 'unreachable', 'untested']), detail: z.string().nullable() })
    .nullable()
    .describe('Null: the credentials were not tried.'),
})

export function connectionView(connection: Connection): z.infer<typeof ConnectionView> {
  const { rateLimitRemaining: remaining, rateLimitResetAt: resetAt } = connection
  const time = (at: Date | null) => at?.toISOString() ?? null
  return {
    id: connection.connectionId,
    provider: connection.provider,
    integrationType: IntegrationType.parse(connection.integrationType),
    providerVersion: connection.providerVersion,
    accountId: connection.accountId,
    displayName: connection.displayName,
    status: connection.status,
    statusReason: connection.statusReason,
    settings: connection.settings,
    credentials: connection.credentialHints,
    capabilities: connection.capabilities,
    errorCount: connection.errorCount,
    lastError: connection.lastError,
    lastErrorAt: time(connection.lastErrorAt),
    lastSyncAt: time(connection.lastSyncAt),
    lastTestedAt: time(connection.lastTestedAt),
    syncFrequencyMinutes: connection.syncFrequencyMinutes,
    rateLimit: remaining === null || resetAt === null ? null : { remaining, resetAt: resetAt.toISOString() },
    webhookSourceId: connection.webhookSourceId,
    revision: connection.revision,
    createdBy: connection.createdBy,
    createdAt: connection.createdAt.toISOString(),
    updatedAt: connection.updatedAt.toISOString(),
    removedAt: time(connection.removedAt),
  }
}
