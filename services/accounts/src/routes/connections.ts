import { randomUUIDv7 } from 'node:crypto'
import { ConnectionProvider, ConnectionStatus, Id } from '@parley/contracts'
import { AppError, type Credentials, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { makeDoor } from '../connection-doors.ts'
import { assertSize, fieldsOf, readAccount } from '../connection-fields.ts'
import { assertAddress } from '../connection-origins.ts'
import { assertNotRefused } from '../connection-tests/outcome.ts'
import { testConnection } from '../connection-tests/test-connection.ts'
import { connectionView, ConnectionView, Shown } from '../connection-view.ts'
import {
  changeConnection,
  findConnection,
  insertConnection,
  listConnections,
  lockConnection,
  sealedColumns,
} from '../db/connections.ts'
import type { ConnectionSettings } from '../db/connection-tables.ts'
import { holdDataKey } from '../db/encryption-keys.ts'
import { IntegrationType } from '../integration.ts'
import { chosenOrganization } from '../manager.ts'
import { Line } from '../organization-fields.ts'
import { providerFields } from '../provider-fields.ts'
import { maskCredentials } from '../rules/connection-mask.ts'
import { mostConnections } from '../rules/connection-state.ts'
import { askForNextTest, testedColumns } from '../steps/note-connection-test.ts'

const OneConnection = z.strictObject({ id: Id })

/** What every provider has beside its own fields. */
const common = {
  displayName: Line(200),
  accountId: z
    .string()
    .trim()
    .min(1)
    .max(256)
    .nullable()
    .default(null)
    .describe('The account at the provider: Whapi channel, shop domain, ElevenLabs agent, Twilio account.'),
  syncFrequencyMinutes: z.int().min(1).max(43_200).nullable().default(null),
  test: z.boolean().default(true).describe('Try the credentials by a real call first; refused ones are not saved.'),
}
/** For the providers that send webhooks. */
const webhook = z.boolean().default(true).describe("Open a door for the provider's webhooks; its address is shown once.")

const fields = <P extends ConnectionProvider>(provider: P) => ({
  provider: z.literal(provider),
  ...common,
  settings: providerFields[provider].settings,
  credentials: providerFields[provider].credentials,
})
const NewConnection = z.discriminatedUnion('provider', [
  z.strictObject({ ...fields('whapi'), settings: providerFields.whapi.settings.default({}), webhook }),
  z.strictObject({ ...fields('shopify'), settings: providerFields.shopify.settings.prefault({}), webhook }),
  z.strictObject({ ...fields('elevenlabs'), settings: providerFields.elevenlabs.settings.default({}), webhook }),
  z.strictObject({ ...fields('tavus'), settings: providerFields.tavus.settings.default({}), webhook }),
  z.strictObject({ ...fields('openai'), settings: providerFields.openai.settings.default({}) }),
  z.strictObject({ ...fields('twilio'), settings: providerFields.twilio.settings.default({}) }),
  z.strictObject(fields('smtp')),
  z.strictObject({ ...fields('sendgrid'), settings: providerFields.sendgrid.settings.default({}) }),
  z.strictObject({ ...fields('slack'), settings: providerFields.slack.settings.default({}) }),
  z.strictObject({
    ...fields('custom'),
    settings: providerFields.custom.settings.default({}),
    integrationType: IntegrationType.default('other'),
    capabilities: z.array(z.string().trim().min(1).max(64)).max(20).default([]),
  }),
])

export const postConnection = route({
  method: 'POST',
  path: '/v1/connections',
  summary: 'Connect an outside system: its credentials are tried, sealed, and never shown again.',
  scope: 'connections:write',
  perMinute: 60,
  refuses: {
    conflict: [
      'An organization has 100 connections at most.',
      'Choose an organization first.',
      'There is a connection of that whapi account already: change it.',
    ],
    unprocessable: 'body.credentials: whapi refuses them. The provider answered 401.',
  },
  body: NewConnection,
  reply: Shown,
  status: 201,
  async run({ body, caller, app, commit }) {
    const organizationId = chosenOrganization(caller)
    const { provider, displayName, syncFrequencyMinutes } = body
    const connectionId = randomUUIDv7()
    const kind = fieldsOf(provider)
    const accountId = readAccount(kind, body.accountId)
    const settings = body.settings as ConnectionSettings
    const credentials = body.credentials as Credentials
    assertSize(settings, credentials)
    assertAddress(provider, settings, app.tester.trusted)

    const test = body.test ? await testConnection(app.tester, { provider, accountId, settings, credentials }) : null
    assertNotRefused(provider, test)
    const now = app.now()
    const fresh = { status: 'pending' as const, errorCount: 0, unreachedTests: 0 }
    const wantsDoor = 'webhook' in body && body.webhook
    const door = wantsDoor ? makeDoor(organizationId, provider, app.webhookOrigin, randomUUIDv7()) : undefined
    const saved = await commit(async (tx, tools) => {
      const key = await holdDataKey(tx, app.keys, organizationId)
      const { total } = await listConnections(tx, organizationId, { limit: 1, offset: 0 })
      if (total >= mostConnections) throw new AppError('conflict', `An organization has ${mostConnections} connections at most.`)
      const connection = await insertConnection(
        tx,
        tools,
        {
          organizationId,
          connectionId,
          provider,
          integrationType: 'integrationType' in body ? body.integrationType : kind.type,
          providerVersion: kind.version(settings),
          displayName,
          accountId,
          settings: JSON.stringify(settings),
          ...sealedColumns(key.dataKey, connectionId, { ...credentials, ...door?.secret }),
          credentialHints: JSON.stringify(maskCredentials(credentials)),
          credentialsChangedAt: now,
          capabilities: 'capabilities' in body ? body.capabilities : [...kind.capabilities],
          syncFrequencyMinutes,
          createdBy: caller.actor.id,
          ...door?.columns,
          ...(test === null ? { status: 'pending', statusReason: 'Not tried yet.' } : testedColumns(fresh, test, now)),
        },
        key,
      )
      askForNextTest(tools, connection, now)
      return connection
    })
    return {
      ...connectionView(saved),
      webhook: door?.shown ?? null,
      test: test && { outcome: test.outcome, detail: test.detail },
    }
  },
})

export const getConnections = route({
  method: 'GET',
  path: '/v1/connections',
  summary: 'What is connected, the latest first; the removed ones only when asked for.',
  scope: 'connections:read',
  query: z.strictObject({ ...pageQuery, provider: ConnectionProvider.optional(), status: ConnectionStatus.optional() }),
  reply: pageOf(ConnectionView),
  async run({ query: { page, limit, ...filter }, caller, read }) {
    const slice = { ...filter, limit, offset: (page - 1) * limit }
    const { items, total } = await read((tx) => listConnections(tx, caller.organizationId, slice))
    return { items: items.map(connectionView), page, limit, total }
  },
})

export const getConnection = route({
  method: 'GET',
  path: '/v1/connections/:id',
  summary: 'One connection; its credentials masked.',
  scope: 'connections:read',
  refuses: { not_found: 'No connection with that id.' },
  params: OneConnection,
  reply: ConnectionView,
  async run({ params: { id }, caller, read }) {
    const connection = await read((tx) => findConnection(tx, caller.organizationId, id))
    if (!connection) throw new AppError('not_found', 'No connection with that id.')
    return connectionView(connection)
  },
})

export const deleteConnection = route({
  method: 'DELETE',
  path: '/v1/connections/:id',
  summary: 'Disconnect: the credentials are wiped here and in every service, the door for webhooks is closed.',
  scope: 'connections:write',
  refuses: { not_found: 'No connection with that id.' },
  params: OneConnection,
  reply: ConnectionView,
  async run({ params: { id }, caller, app, commit }) {
    const removed = await commit(async (tx, tools) => {
      const connection = await lockConnection(tx, caller.organizationId, id)
      if (!connection) throw new AppError('not_found', 'No connection with that id.')
      if (connection.status === 'removed') return connection
      return changeConnection(tx, tools, connection, {
        status: 'removed',
        statusReason: null,
        sealedCredentials: null,
        keyVersion: null,
        credentialHints: '{}',
        removedAt: app.now(),
      })
    })
    return connectionView(removed)
  },
})
