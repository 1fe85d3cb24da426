import { job } from '../app.ts'
import { testConnectionRef } from '../connection-tests/ref.ts'
import { testConnection as tryCredentials } from '../connection-tests/test-connection.ts'
import { findOpenConnection, lockConnection } from '../db/connections.ts'
import { holdDataKey } from '../db/encryption-keys.ts'
import { noteConnectionTest } from '../steps/note-connection-test.ts'

/**
 * Tries the credentials of a connection: again, when its provider could not be reached, and ourselves, when a service says that they are
 * refused. What was tried or changed meanwhile makes a run out of date, and it ends.
 */
export const testConnection = job(
  testConnectionRef.name,
  testConnectionRef.schema,
  { policy: 'standard', outward: true, expireSeconds: 30 },
  async ({ data: { connectionId, tries, reported }, organizationId, app, read, finish }) => {
    const found = await read((tx) => findOpenConnection(tx, app.keys, organizationId, connectionId))
    if (found?.connection.unreachedTests !== tries) return
    const { connection, credentials } = found
    const test = await tryCredentials(app.tester, { ...connection, credentials })
    await finish(async (tx, tools) => {
      const { dataKey } = await holdDataKey(tx, app.keys, organizationId)
      const now = await lockConnection(tx, organizationId, connectionId)
      // The verdict is about the credentials that were tried.
      if (now?.sealedCredentials !== connection.sealedCredentials || now.unreachedTests !== tries) return
      await noteConnectionTest(tx, tools, now, { test, credentials, dataKey, reported, now: app.now() })
    })
  },
)
