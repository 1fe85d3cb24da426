import { connectionReported } from '@parley/contracts'
import { Permanent } from '@parley/runtime'
import { on } from '../app.ts'
import { testConnectionRef } from '../connection-tests/ref.ts'
import { changeConnection, lockConnection, noteConnection } from '../db/connections.ts'
import { afterReport } from '../rules/connection-state.ts'

/** What a service met when it used a connection. */
export const noteConnectionReport = on(
  'note-connection-report',
  connectionReported,
  async ({ event, tx, emit, later, audit }) => {
    const { connectionId, outcome, detail, rateLimit, at } = event.data
    const connection = await lockConnection(tx, event.organizationId, connectionId)
    if (!connection) throw new Permanent('A report about a connection that this organization never had.')
    // Told of credentials that have been replaced since, or are gone.
    const isStale = new Date(at) < connection.credentialsChangedAt
    if (connection.status === 'removed' || isStale) return

    const { state, test } = afterReport(connection, outcome)
    const change = {
      ...state,
      ...(outcome === 'ok' ? { lastSyncAt: at, lastError: null, statusReason: null } : { lastError: detail, lastErrorAt: at }),
      ...(state.status === 'error' ? { statusReason: detail } : {}),
      ...(rateLimit === null ? {} : { rateLimitRemaining: rateLimit.remaining, rateLimitResetAt: rateLimit.resetAt }),
    }
    if (state.status === connection.status) await noteConnection(tx, connection, change)
    else await changeConnection(tx, { emit, later, audit }, connection, change)
    if (test) later(testConnectionRef, { connectionId, tries: state.unreachedTests, reported: true })
  },
)
