import { connectionChanged, type DataOf } from '@parley/contracts'
import { credentialsPlace, makeDataKey, openSealingKeys, sealCredentials, Secret } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { ingest } from '../src/service.ts'
import { hashToken, makeToken } from '../src/token.ts'
import { elevenLabsSignature, post, whapiMessage } from './door.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ services: [ingest], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await world?.stop()
})

type Changed = DataOf<typeof connectionChanged>

/** A connection as accounts tells of it. */
function openConnection(provider: Changed['provider'], accountId: string | null) {
  const { organizationId } = world
  const connectionId = randomUUIDv7()
  const sourceId = randomUUIDv7()
  const keys = openSealingKeys(new Secret(world.environment['PARLEY_SECRET_KEY'] as string))
  let revision = 0
  let token = ''
  return {
    sourceId,
    newAddress() {
      token = makeToken(organizationId, randomBytes(32))
      return `/webhooks/${provider}/${token}`
    },
    async told(credentials: Record<string, string> | null, more: Partial<Changed> = {}) {
      revision += 1
      const { dataKey, wrapped } = makeDataKey(keys, organizationId, 1)
      const place = credentialsPlace(organizationId, connectionId)
      const sealed = credentials && {
        keyVersion: 1,
        wrappedKey: wrapped,
        sealed: sealCredentials(dataKey, place, credentials),
      }
      const headerName = credentials?.['webhookHeader'] === undefined ? null : 'x-parley-secret'
      await world.state('ingest', connectionChanged, {
        connectionId,
        provider,
        accountId,
        displayName: 'the shop',
        status: credentials === null ? 'removed' : 'active',
        settings: {},
        credentials: sealed,
        webhook: { sourceId, tokenHash: hashToken(token).toString('hex'), headerName },
        revision,
        ...more,
      })
      await world.settle()
    },
    source: async () => (await world.sql('select * from ingest.webhook_sources where id = $1', [sourceId]))[0],
  }
}

/** The door forgets after two seconds what it knew of an address. */
const deliver = (path: string, body: unknown, headers: Record<string, string>, status: number) =>
  expect
    .poll(async () => (await post(world, path, JSON.stringify(body), headers)).status, { timeout: 5_000, interval: 100 })
    .toBe(status)

describe('the door of a connection', () => {
  test('opens with it, takes its webhooks alone, follows its header, and closes with it', async () => {
    const connection = openConnection('whapi', 'PHONE-1')
    const path = connection.newAddress()
    await connection.told({ token: 'whapi-token', webhookHeader: 'first-header-value' })
    const first = { 'x-parley-secret': 'first-header-value' }
    await deliver(path, whapiMessage('c-1', 'Bonjour'), first, 200)
    await deliver(path, whapiMessage('c-2', 'Bonjour'), { 'x-parley-secret': 'guessed' }, 401)
    expect((await world.events('ingest', 'message.received')).map(({ data }) => data)).toMatchObject([
      { providerMessageId: 'c-1', accountId: 'PHONE-1' },
    ])
    const stored = JSON.stringify(await connection.source())
    for (const secret of ['first-header-value', 'whapi-token', path.slice(-43)]) expect(stored).not.toContain(secret)

    // A new address ends the old one at once; the old header is good for a day.
    const next = connection.newAddress()
    await connection.told({ token: 'whapi-token', webhookHeader: 'second-header-value' })
    await deliver(next, whapiMessage('c-3', 'Bonjour'), { 'x-parley-secret': 'second-header-value' }, 200)
    await deliver(next, whapiMessage('c-4', 'Bonjour'), first, 200)
    await deliver(path, whapiMessage('c-5', 'Bonjour'), first, 404)

    await connection.told(null)
    await deliver(next, whapiMessage('c-6', 'Bonjour'), first, 404)
    expect(await connection.source()).toMatchObject({
      status: 'disabled',
      token_hash: null,
      sealed_header_current: null,
      sealed_header_previous: null,
    })
  })

  test('without the signing secret takes nothing, and takes what is signed once it is told', async () => {
    const connection = openConnection('elevenlabs', null)
    const path = connection.newAddress()
    await connection.told({ apiKey: 'elevenlabs-key' })
    const body = { type: 'voice_removed', event_timestamp: 1_767_225_600, data: { voice_id: 'v' } }
    const signed = () => ({ 'elevenlabs-signature': elevenLabsSignature('wsec_secret', JSON.stringify(body)) })
    await deliver(path, body, signed(), 401)
    await connection.told({ apiKey: 'elevenlabs-key', signingSecret: 'wsec_secret' })
    await deliver(path, body, signed(), 200)
  })

  test('is shut while the connection is switched off, and opens as it was', async () => {
    const connection = openConnection('tavus', null)
    const path = connection.newAddress()
    const body = { event_type: 'system.shutdown', conversation_id: 't-1', message_type: 'system', properties: {} }
    await connection.told({ apiKey: 'tavus-key' })
    await deliver(path, body, {}, 200)
    await connection.told({ apiKey: 'tavus-key' }, { status: 'inactive' })
    await deliver(path, body, {}, 404)
    await connection.told({ apiKey: 'tavus-key' }, { status: 'error' })
    await deliver(path, body, {}, 200)
  })

  test('keeps what came last when an older word comes again', async () => {
    const connection = openConnection('whapi', 'PHONE-2')
    const path = connection.newAddress()
    await connection.told({ token: 't', webhookHeader: 'header-of-now' }, { revision: 5 })
    await connection.told({ token: 't', webhookHeader: 'header-of-before' }, { revision: 4 })
    await connection.told(null, { revision: 3 })
    await deliver(path, { ...whapiMessage('c-9', 'Bonjour'), channel_id: 'PHONE-2' }, { 'x-parley-secret': 'header-of-now' }, 200)
  })

  test('is not to be changed behind the back of its connection', async () => {
    const connection = openConnection('whapi', 'PHONE-3')
    connection.newAddress()
    await connection.told({ token: 't', webhookHeader: 'header' })
    const path = `/v1/webhook-sources/${connection.sourceId}`
    expect((await world.call('POST', `${path}/rotate`, { body: { what: 'token' } })).status).toBe(409)
    expect((await world.call('DELETE', path)).status).toBe(409)
    const { body } = await world.call('GET', '/v1/webhook-sources?limit=100')
    const listed = body.items.find(({ id }: { id: string }) => id === connection.sourceId)
    expect(listed).toMatchObject({ status: 'active', name: 'the shop' })
    expect(listed.connectionId).not.toBeNull()
  })

  test('cannot take over a source that somebody else opened', async () => {
    const own = await world.call('POST', '/v1/webhook-sources', { body: { provider: 'tavus', name: 'mine' } })
    const connection = openConnection('tavus', null)
    connection.newAddress()
    const webhook = { sourceId: own.body.id, tokenHash: hashToken('other').toString('hex'), headerName: null }
    const before = await world.sql('select * from ingest.webhook_sources where id = $1', [own.body.id])
    await connection.told({ apiKey: 'tavus-key' }, { webhook })
    expect(await world.sql('select * from ingest.webhook_sources where id = $1', [own.body.id])).toEqual(before)
    const dead = await world.sql(`select * from ingest.dead_letters`)
    expect(dead).toMatchObject([{ kind: 'event' }])
  })

  test('a connection of a provider without webhooks opens nothing', async () => {
    const connection = openConnection('openai', null)
    connection.newAddress()
    await connection.told({ apiKey: 'sk' }, { webhook: null })
    expect(await connection.source()).toBeUndefined()
  })
})
