import type { CommitTools, Tx } from '@parley/runtime'
import type { ConnectionTest } from '../connection-tests/outcome.ts'
import { testConnectionRef } from '../connection-tests/ref.ts'
import { changeConnection, type Connection, noteConnection } from '../db/connections.ts'
import type { DB } from '../db/types.ts'
import { afterTest, type ConnectionState, nextTestAt } from '../rules/connection-state.ts'

/** What a try of the credentials changes in the row of its connection. */
export function testedColumns(state: ConnectionState, test: ConnectionTest, now: Date) {
  // Nothing harmless could be asked: the credentials are believed.
  const outcome = test.outcome === 'untested' ? 'ok' : test.outcome
  const next = afterTest(state, outcome)
  const failed = outcome !== 'ok'
  return {
    ...next,
    statusReason: test.detail,
    ...(test.outcome === 'untested' ? {} : { lastTestedAt: now }),
    ...(failed ? { lastError: test.detail, lastErrorAt: now } : { lastError: null }),
    ...(test.outcome === 'ok' ? { lastSyncAt: now } : {}),
    ...(test.rateLimit === null
      ? {}
      : { rateLimitRemaining: test.rateLimit.remaining, rateLimitResetAt: test.rateLimit.resetAt }),
  }
}

/** Writes down what a try gave. The services hear of it when it changed what the connection is; a pending one is tried again later. */
export async function noteConnectionTest(
  tx: Tx<DB>,
  tools: CommitTools,
  before: Connection,
  test: ConnectionTest,
  now: Date,
): Promise<Connection> {
  const change = testedColumns(before, test, now)
  const isChanged = change.status !== before.status
  const noted = isChanged ? await changeConnection(tx, tools, before, change) : await noteConnection(tx, before, change)
  askForNextTest(tools, noted, now)
  return noted
}

/** A connection whose provider could not be reached is tried again, ever more rarely. */
export function askForNextTest({ later }: CommitTools, connection: Connection, now: Date): void {
  const startAfter = nextTestAt(connection, now)
  if (startAfter !== null) {
    later(testConnectionRef, { connectionId: connection.connectionId, tries: connection.unreachedTests }, { startAfter })
  }
}
