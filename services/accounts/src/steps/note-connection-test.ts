import type { CommitTools, Credentials, DataKey, Tx } from '@parley/runtime'
import type { ConnectionTest } from '../connection-tests/outcome.ts'
import { testConnectionRef } from '../connection-tests/ref.ts'
import { changeConnection, type Connection, noteConnection, sealedColumns } from '../db/connections.ts'
import type { DB } from '../db/types.ts'
import { afterTest, type ConnectionState, nextTestAt, provesRefused } from '../rules/connection-state.ts'

/** What a try of the credentials changes in the row of its connection. */
export function testedColumns(state: ConnectionState, test: ConnectionTest, now: Date, reported = false) {
  // Nothing harmless could be asked: the credentials are believed.
  const outcome = test.outcome === 'untested' ? 'ok' : test.outcome
  const { status, errorCount, unreachedTests } = afterTest(state, outcome, reported || needsOwner(test))
  const failed = outcome !== 'ok'
  return {
    status,
    errorCount,
    unreachedTests,
    statusReason: test.detail,
    ...(test.outcome === 'untested' ? {} : { lastTestedAt: now }),
    ...(failed ? { lastError: test.detail, lastErrorAt: now } : { lastError: null }),
    ...(test.outcome === 'ok' ? { lastSyncAt: now } : {}),
    ...(test.rateLimit === null
      ? {}
      : { rateLimitRemaining: test.rateLimit.remaining, rateLimitResetAt: test.rateLimit.resetAt }),
  }
}

/** Good credentials of something that does not work yet: a phone that is not linked. What failed because of it would fail again. */
const needsOwner = ({ outcome, detail }: ConnectionTest) => outcome === 'ok' && detail !== null

/** A try of the credentials of a connection that is locked, and what they were. */
export interface Tried {
  test: ConnectionTest
  credentials: Credentials
  /** Held before the connection was locked. */
  dataKey: DataKey
  /** Because a service was refused. */
  reported: boolean
  now: Date
}

/**
 * Writes down what a try gave. The services hear of it when it changed what the connection is, and when it proves credentials that one of
 * them was refused with: sealed anew, because to a service that waits for others that is the sign to go on. A connection that is pending
 * is tried again later.
 */
export async function noteConnectionTest(tx: Tx<DB>, tools: CommitTools, before: Connection, tried: Tried): Promise<Connection> {
  const { test, now } = tried
  const change = testedColumns(before, test, now, tried.reported)
  const goOn = test.outcome !== 'untested' && !needsOwner(test) && provesRefused(before, test.outcome)
  const sealed = goOn ? sealedColumns(tried.dataKey, before.connectionId, tried.credentials) : {}
  const isTold = goOn || change.status !== before.status
  const noted = isTold
    ? await changeConnection(tx, tools, before, { ...change, ...sealed })
    : await noteConnection(tx, before, change)
  askForNextTest(tools, noted, now)
  return noted
}

/** A connection whose provider could not be reached is tried again, ever more rarely. */
export function askForNextTest({ later }: CommitTools, connection: Connection, now: Date): void {
  const startAfter = nextTestAt(connection, now)
  if (startAfter !== null) {
    later(
      testConnectionRef,
      { connectionId: connection.connectionId, tries: connection.unreachedTests, reported: false },
      { startAfter },
    )
  }
}
