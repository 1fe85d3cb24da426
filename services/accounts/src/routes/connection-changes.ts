import { Id } from '@parley/contracts'
import { AppError, type Credentials } from '@parley/runtime'
import type { Updateable } from 'kysely'
import { z } from 'zod'
import { type App, route } from '../app.ts'
import { headerField, makeDoor } from '../connection-doors.ts'
import { assertSize, fieldsOf, parseField } from '../connection-fields.ts'
import { assertAddress } from '../connection-origins.ts'
import { assertNotRefused } from '../connection-tests/outcome.ts'
import { testConnection as tryCredentials } from '../connection-tests/test-connection.ts'
import { connectionView, Shown } from '../connection-view.ts'
import { changeConnection, type Connection, findOpenConnection, lockConnection, sealedColumns } from '../db/connections.ts'
import type { Connections, ConnectionSettings } from '../db/connection-tables.ts'
import { holdDataKey } from '../db/encryption-keys.ts'
import { Line } from '../organization-fields.ts'
import { maskCredentials } from '../rules/connection-mask.ts'
import { askForNextTest, noteConnectionTest, testedColumns } from '../steps/note-connection-test.ts'

const OneConnection = z.strictObject({ id: Id })
const values = z.union([z.string().max(2_048), z.number(), z.boolean(), z.null()])

const Changes = z.strictObject({
  displayName: Line(200).optional(),
  settings: z.record(z.string().max(64), values).optional().describe('All of them: what is left out is gone.'),
  credentials: z
    .record(z.string().max(64), z.string().max(2_048).nullable())
    .optional()
    .describe('Those that change; null takes an optional one away. After a change of the address all of them.'),
  status: z.enum(['active', 'inactive']).optional(),
  syncFrequencyMinutes: z.int().min(1).max(43_200).nullable().optional(),
  test: z.boolean().default(true).describe('Try the credentials by a real call first; refused ones are not saved.'),
})

export const patchConnection = route({
  method: 'PATCH',
  path: '/v1/connections/:id',
  summary: 'Change a connection: new credentials and settings are tried first, and reach every service by themselves.',
  scope: 'connections:write',
  perMinute: 60,
  refuses: {
    not_found: 'No connection with that id, or it was removed.',
    conflict: 'The connection was changed meanwhile. Try again.',
    unprocessable: 'body.credentials: whapi refuses them. The provider answered 401.',
  },
  params: OneConnection,
  body: Changes,
  reply: Shown,
  async run({ params: { id }, body, caller, app, read, commit }) {
    const { organizationId } = caller
    const { connection, credentials: all } = await read((tx) => requireOpen(app, tx, organizationId, id))
    const { provider, accountId } = connection
    const settings = body.settings ? parseField('settings', fieldsOf(provider).settings, body.settings) : connection.settings
    const { [headerField]: header, ...before } = all
    const credentials = changedCredentials(connection, before, settings, body.credentials)
    assertSize(settings, credentials)
    if (body.settings) assertAddress(provider, settings, app.tester.trusted)

    const isNew =
      body.credentials !== undefined ||
      body.settings !== undefined ||
      (body.status === 'active' && connection.status !== 'active')
    const test = body.test && isNew ? await tryCredentials(app.tester, { provider, accountId, settings, credentials }) : null
    assertNotRefused(provider, test)
    const replaced = Object.keys({ ...before, ...credentials }).filter((field) => before[field] !== credentials[field])
    const saved = await commit(async (tx, tools) => {
      const key = await holdDataKey(tx, app.keys, organizationId)
      const locked = await lockConnection(tx, organizationId, id)
      // What was tried must be what is saved.
      if (locked?.revision !== connection.revision)
        throw new AppError('conflict', 'The connection was changed meanwhile. Try again.')
      const now = app.now()
      const status = body.status ?? (locked.status === 'inactive' ? 'inactive' : 'pending')
      const sealed = { ...credentials, ...(header === undefined ? {} : { [headerField]: header }) }
      const change: Updateable<Connections> = {
        displayName: body.displayName ?? locked.displayName,
        settings: JSON.stringify(settings),
        providerVersion: fieldsOf(provider).version(settings),
        syncFrequencyMinutes: body.syncFrequencyMinutes === undefined ? locked.syncFrequencyMinutes : body.syncFrequencyMinutes,
        status: body.status ?? locked.status,
        // Given again they are sealed anew, also when they are the same: a service that was refused with them tries once more.
        ...(body.credentials === undefined && replaced.length === 0
          ? {}
          : {
              ...sealedColumns(key.dataKey, id, sealed),
              credentialHints: JSON.stringify(maskCredentials(credentials)),
              credentialsChangedAt: now,
              status,
              statusReason: 'Not tried yet.',
              errorCount: 0,
              unreachedTests: 0,
            }),
        ...(test === null ? {} : testedColumns({ status, errorCount: 0, unreachedTests: 0 }, test, now)),
      }
      const changed = await changeConnection(tx, tools, locked, change, replaced)
      askForNextTest(tools, changed, now)
      return changed
    })
    return { ...connectionView(saved), webhook: null, test: test && { outcome: test.outcome, detail: test.detail } }
  },
})

export const postConnectionTest = route({
  method: 'POST',
  path: '/v1/connections/:id/test',
  summary: 'Try the credentials now, by a real call to the provider.',
  scope: 'connections:write',
  perMinute: 60,
  refuses: {
    not_found: 'No connection with that id, or it was removed.',
    conflict: 'The connection was changed meanwhile. Try again.',
  },
  params: OneConnection,
  body: z.strictObject({}),
  reply: Shown,
  async run({ params: { id }, caller, app, read, commit }) {
    const { organizationId } = caller
    const { connection, credentials } = await read((tx) => requireOpen(app, tx, organizationId, id))
    const test = await tryCredentials(app.tester, { ...connection, credentials })
    const saved = await commit(async (tx, tools) => {
      const { dataKey } = await holdDataKey(tx, app.keys, organizationId)
      const locked = await lockConnection(tx, organizationId, id)
      if (locked?.sealedCredentials !== connection.sealedCredentials)
        throw new AppError('conflict', 'The connection was changed meanwhile. Try again.')
      return noteConnectionTest(tx, tools, locked, { test, credentials, dataKey, reported: false, now: app.now() })
    })
    return { ...connectionView(saved), webhook: null, test: { outcome: test.outcome, detail: test.detail } }
  },
})

export const postConnectionWebhook = route({
  method: 'POST',
  path: '/v1/connections/:id/webhook',
  summary: "A new address for the provider's webhooks, shown once: the old one ends at once, an old header in 24 hours.",
  scope: 'connections:write',
  perMinute: 60,
  refuses: {
    not_found: 'No connection with that id, or it was removed.',
    conflict: ['We take no webhooks of openai.', 'The connection was changed meanwhile. Try again.'],
  },
  params: OneConnection,
  body: z.strictObject({}),
  reply: Shown,
  async run({ params: { id }, caller, app, commit, read }) {
    const { organizationId } = caller
    const { connection, credentials } = await read((tx) => requireOpen(app, tx, organizationId, id))
    const door = makeDoor(organizationId, connection.provider, app.webhookOrigin, connection.webhookSourceId ?? undefined)
    if (!door) throw new AppError('conflict', `We take no webhooks of ${connection.provider}.`)
    const saved = await commit(async (tx, tools) => {
      const key = await holdDataKey(tx, app.keys, organizationId)
      const locked = await lockConnection(tx, organizationId, id)
      if (locked?.sealedCredentials !== connection.sealedCredentials)
        throw new AppError('conflict', 'The connection was changed meanwhile. Try again.')
      const columns = sealedColumns(key.dataKey, id, { ...credentials, ...door.secret })
      return changeConnection(tx, tools, locked, { ...door.columns, ...columns }, [
        'webhook address',
        ...Object.keys(door.secret),
      ])
    })
    return { ...connectionView(saved), webhook: door.shown, test: null }
  },
})

async function requireOpen(app: App, tx: Parameters<typeof findOpenConnection>[0], organizationId: string, id: string) {
  const found = await findOpenConnection(tx, app.keys, organizationId, id)
  if (!found) throw new AppError('not_found', 'No connection with that id, or it was removed.')
  return found
}

/**
 * The credentials after the change. Those that are stored are not sent to another address than they were given for: who may change a
 * connection could else have us send him what he is not shown.
 */
function changedCredentials(
  connection: Connection,
  before: Credentials,
  settings: ConnectionSettings,
  change: Record<string, string | null> | undefined,
): Credentials {
  const kind = fieldsOf(connection.provider)
  const goesElsewhere =
    kind.destination(settings, connection.accountId) !== kind.destination(connection.settings, connection.accountId)
  if (goesElsewhere && change === undefined) {
    throw new AppError('invalid', 'body.credentials: the address changes, so give the credentials for it anew.')
  }
  if (change === undefined) return before
  const given = Object.entries({ ...(goesElsewhere ? {} : before), ...change }).filter((entry) => entry[1] !== null)
  return parseField('credentials', kind.credentials, Object.fromEntries(given))
}
