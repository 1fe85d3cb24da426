import { connectionReported, type DataOf } from '@parley/contracts'
import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import { credentialsPlace, openCredentials, openSealingKeys, Secret } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { accounts } from '../src/service.ts'
import { changeKey, dropPreviousKey } from './installation-key.ts'

const token = 'whapi-token-of-the-channel'
const apiKey = 'sk-model-key-0123456789'
let gateway: WhapiSimulator
let model: ModelSimulator
let world: World
let nextAccount = 1

beforeAll(async () => {
  gateway = await startWhapiSimulator({ token, channelId: 'PHONE-1', automaticStatuses: false })
  model = await startModelSimulator({ apiKey })
  world = await startWorld({
    services: [accounts],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      ACCOUNTS_CONNECTION_ORIGINS: `${gateway.url},${new URL(model.url).origin}`,
      ACCOUNTS_WEBHOOK_URL: 'https://parley.example/',
    },
  })
})
beforeEach(() => {
  gateway.faults.clear()
  model.faults.clear()
})
afterAll(async () => {
  await world?.stop()
  await gateway?.close()
  await model?.close()
})

const connect = (body: Record<string, unknown> = {}, key?: string) =>
  world.call('POST', '/v1/connections', {
    body: {
      provider: 'whapi',
      displayName: 'WhatsApp of the shop',
      accountId: `PHONE-${nextAccount++}`,
      settings: { baseUrl: gateway.url },
      credentials: { token },
      ...body,
    },
    ...(key === undefined ? {} : { key }),
  })

const connectModel = (body: Record<string, unknown> = {}) =>
  connect({ provider: 'openai', accountId: null, settings: { baseUrl: model.baseUrl }, credentials: { apiKey }, ...body })

type Changed = DataOf<typeof import('@parley/contracts').connectionChanged>

const told = async (id: string): Promise<Changed[]> =>
  (await world.events('accounts', 'connection.changed'))
    .map(({ data }) => data as Changed)
    .filter((data) => data.connectionId === id)

const rowOf = async (id: string) =>
  (await world.sql<Record<string, never>>('select * from accounts.connections where connection_id = $1', [id]))[0]

const keysOf = (environment: Record<string, string>) =>
  openSealingKeys(
    new Secret(environment['PARLEY_SECRET_KEY'] as string),
    environment['PARLEY_SECRET_KEY_PREVIOUS'] ? new Secret(environment['PARLEY_SECRET_KEY_PREVIOUS']) : undefined,
  )

/** What a service that hears of the connection finds in it. */
function openTold(data: Changed | undefined, organizationId = world.organizationId) {
  if (!data?.credentials) throw new Error('Told without credentials.')
  return openCredentials(keysOf(world.environment), credentialsPlace(organizationId, data.connectionId), data.credentials)
}

describe('connecting', () => {
  test('asks the provider, saves what it takes, shows the door once and the credentials never', async () => {
    const before = gateway.requests()
    const { status, body } = await connect()
    expect(status).toBe(201)
    expect(gateway.requests()).toBe(before + 1)
    expect(body).toMatchObject({
      provider: 'whapi',
      integrationType: 'messaging',
      status: 'active',
      credentials: { token: '•••nnel' },
      errorCount: 0,
      test: { outcome: 'ok' },
      webhook: { header: { name: 'x-parley-secret' } },
      revision: 1,
    })
    expect(body.lastTestedAt).not.toBeNull()
    expect(body.webhook.path).toMatch(/^\/webhooks\/whapi\/[A-Za-z0-9_-]{65}$/)
    expect(body.webhook.url).toBe(`https://parley.example${body.webhook.path}`)

    const again = await world.call('GET', `/v1/connections/${body.id}`)
    const list = await world.call('GET', '/v1/connections?provider=whapi')
    for (const answer of [again.body, list.body]) {
      expect(JSON.stringify(answer)).not.toContain(token)
      expect(JSON.stringify(answer)).not.toContain(body.webhook.header.value)
      expect(JSON.stringify(answer)).not.toContain(body.webhook.path.slice(-43))
    }
    expect(again.body.webhookSourceId).toBe(body.webhookSourceId)
  })

  test('tells the services, sealed, with the header in it and only the hash of the address', async () => {
    const { body } = await connect()
    const [event, ...more] = await told(body.id)
    expect(more).toEqual([])
    expect(event).toMatchObject({ provider: 'whapi', status: 'active', webhook: { headerName: 'x-parley-secret' }, revision: 1 })
    expect(openTold(event)).toEqual({ token, webhookHeader: body.webhook.header.value })
    expect(JSON.stringify(event)).not.toContain(body.webhook.path.slice(-43))
  })

  test('leaves no secret in a table, an event or the audit log', async () => {
    const { body } = await connect()
    await world.settle()
    const secrets = [token, body.webhook.header.value, body.webhook.path.slice(-43)]
    const everything = JSON.stringify([
      await world.sql('select * from accounts.connections'),
      await world.sql('select * from accounts.encryption_keys'),
      await world.sql('select envelope from accounts.outbox'),
      await world.sql('select * from accounts.audit_entries'),
    ])
    for (const secret of secrets) expect(everything).not.toContain(secret)
    const [entry] = await world.sql<{ after: unknown }>(
      `select after from accounts.audit_entries where resource_type = 'connection' and resource_id = $1`,
      [body.id],
    )
    expect(entry?.after).toMatchObject({ provider: 'whapi', status: 'active' })
  })

  test('credentials that the provider refuses are named and not saved', async () => {
    const wrong = await connect({ credentials: { token: 'whapi-token-of-nobody' } })
    expect(wrong.status).toBe(422)
    expect(wrong.body.error).toMatchObject({ code: 'unprocessable', details: { field: 'body.credentials', outcome: 'refused' } })
    expect(JSON.stringify(wrong.body)).not.toContain('whapi-token-of-nobody')
    const wrongModel = await connectModel({ credentials: { apiKey: 'sk-wrong-0123456789' } })
    expect(wrongModel.status).toBe(422)
    expect(await world.sql(`select 1 from accounts.connections where last_error is not null`)).toEqual([])
  })

  test('unless nobody wants them tried', async () => {
    const { status, body } = await connect({ credentials: { token: 'whapi-token-of-nobody' }, test: false })
    expect(status).toBe(201)
    expect(body).toMatchObject({ status: 'pending', statusReason: 'Not tried yet.', test: null, lastTestedAt: null })
  })

  test('a provider that is away leaves it pending, with the reason, and it is tried again', async () => {
    gateway.faults.always({ kind: 'status', status: 503 }, ({ path }) => path === '/health')
    const { status, body } = await connect()
    expect(status).toBe(201)
    expect(body).toMatchObject({ status: 'pending', test: { outcome: 'unreachable' }, errorCount: 1 })
    expect(body.statusReason).toContain('503')
    gateway.faults.clear()
    // The run that waits a minute.
    await world.sql(`update accounts_jobs.job set start_after = now() where name = 'test-connection' and state < 'active'`)
    await expect.poll(async () => (await rowOf(body.id))?.['status'], { timeout: 15_000 }).toBe('active')
    expect((await told(body.id)).map(({ status: told }) => told)).toEqual(['pending', 'active'])
  })

  test('the same account twice is a conflict, and is free again after it was removed', async () => {
    const first = await connect({ accountId: 'PHONE-TWICE' })
    expect((await connect({ accountId: 'PHONE-TWICE' })).status).toBe(409)
    expect((await connect({ accountId: 'PHONE-TWICE' }, world.otherKey)).status).toBe(201)
    expect((await world.call('DELETE', `/v1/connections/${first.body.id}`)).status).toBe(200)
    expect((await connect({ accountId: 'PHONE-TWICE' })).status).toBe(201)
  })

  test('a model server is asked for its models, and custom fields are taken as they are', async () => {
    const { body } = await connectModel({ settings: { baseUrl: model.baseUrl, model: 'no-such-model' } })
    expect(body).toMatchObject({ status: 'active', integrationType: 'ai', webhook: null, webhookSourceId: null })
    expect(body.test.detail).toContain('no-such-model')
    const custom = await connect({ provider: 'custom', accountId: null, settings: { a: 1 }, credentials: { key: 'anything' } })
    expect(custom.body).toMatchObject({ status: 'active', credentials: { key: '•••' }, test: { outcome: 'untested' } })
  })

  test.each([
    ['an unknown field', { sealedCredentials: 'x' }],
    ['an unknown setting', { settings: { baseUrl: 'https://gate.whapi.cloud', x: 1 } }],
    ['an unknown credential', { credentials: { token, other: 'x' } }],
    ['another provider’s credential', { credentials: { apiKey } }],
    ['no account where one is needed', { accountId: null }],
    ['somebody else’s organization', { organizationId: '018f0000-0000-7000-8000-000000000001' }],
    ['a status', { status: 'active' }],
    ['a gateway inside the network', { settings: { baseUrl: 'http://127.0.0.1:5432' } }],
    ['the cloud’s metadata', { settings: { baseUrl: 'https://169.254.169.254' } }],
    ['a name inside the network', { settings: { baseUrl: 'https://postgres' } }],
    ['a gateway that is not the vendor’s', { settings: { baseUrl: 'https://gateway.example.com' } }],
    [
      'a model inside the network',
      { provider: 'openai', accountId: null, settings: { baseUrl: 'https://10.0.0.7/v1' }, credentials: { apiKey } },
    ],
    [
      'a model over plain http',
      { provider: 'openai', accountId: null, settings: { baseUrl: 'http://models.example.com/v1' }, credentials: { apiKey } },
    ],
    [
      'a mail server inside the network',
      {
        provider: 'smtp',
        accountId: null,
        settings: { host: 'localhost', port: 587 },
        credentials: { username: 'a', password: 'b' },
      },
    ],
    [
      'a database as a mail server',
      {
        provider: 'smtp',
        accountId: null,
        settings: { host: 'mail.example.com', port: 5432 },
        credentials: { username: 'a', password: 'b' },
      },
    ],
    ['a token with a line break', { credentials: { token: 'abcdefgh\r\nx-evil: 1' } }],
    [
      'credentials larger than an event',
      {
        provider: 'custom',
        credentials: Object.fromEntries(Array.from('abcdefgh').map((name) => [name, '字'.repeat(2_048)])),
        settings: {},
      },
    ],
  ])('%s is refused', async (_name, body) => {
    const requests = gateway.requests()
    expect((await connect(body)).status).toBe(400)
    expect(gateway.requests()).toBe(requests)
  })
})

describe('changing', () => {
  test('a new token is tried, replaces the old one, and is told', async () => {
    const { body } = await connect()
    const refused = await world.call('PATCH', `/v1/connections/${body.id}`, {
      body: { credentials: { token: 'another-token-entirely' } },
    })
    expect(refused.status).toBe(422)
    expect((await told(body.id)).length).toBe(1)
    const untested = await world.call('PATCH', `/v1/connections/${body.id}`, {
      body: { credentials: { token: 'another-token-entirely' }, test: false },
    })
    expect(untested.body).toMatchObject({ status: 'pending', credentials: { token: '•••rely' }, revision: 2 })
    const [, second] = await told(body.id)
    expect(openTold(second)).toEqual({ token: 'another-token-entirely', webhookHeader: body.webhook.header.value })
    const back = await world.call('PATCH', `/v1/connections/${body.id}`, { body: { credentials: { token } } })
    expect(back.body).toMatchObject({ status: 'active', revision: 3 })
  })

  test('credentials are not sent to another address than they were given for', async () => {
    const elsewhere = await startModelSimulator({ apiKey })
    const { body } = await connectModel()
    world.environment['ACCOUNTS_CONNECTION_ORIGINS'] += `,${new URL(elsewhere.url).origin}`
    await world.restart()
    const settings = { baseUrl: elsewhere.baseUrl }
    for (const change of [{ settings }, { settings, credentials: {} }]) {
      const answer = await world.call('PATCH', `/v1/connections/${body.id}`, { body: change })
      expect(answer.status).toBe(400)
    }
    expect(elsewhere.requests()).toBe(0)
    const anew = await world.call('PATCH', `/v1/connections/${body.id}`, { body: { settings, credentials: { apiKey } } })
    expect(anew.body).toMatchObject({ status: 'active', settings })
    await elsewhere.close()
  })

  test('switched off it stays off, and switched on it is tried', async () => {
    const { body } = await connect()
    const off = await world.call('PATCH', `/v1/connections/${body.id}`, { body: { status: 'inactive' } })
    expect(off.body.status).toBe('inactive')
    const tried = await world.call('POST', `/v1/connections/${body.id}/test`, { body: {} })
    expect(tried.body).toMatchObject({ status: 'inactive', test: { outcome: 'ok' } })
    const on = await world.call('PATCH', `/v1/connections/${body.id}`, { body: { status: 'active' } })
    expect(on.body).toMatchObject({ status: 'active', test: { outcome: 'ok' } })
    expect((await told(body.id)).map(({ status }) => status)).toEqual(['active', 'inactive', 'active'])
  })

  test('a signing secret that the provider shows later is added without the rest', async () => {
    const { body } = await connect({
      provider: 'elevenlabs',
      accountId: null,
      settings: {},
      credentials: { apiKey: 'elevenlabs-key-1234' },
      test: false,
    })
    expect(body.webhook).toMatchObject({ header: null })
    const patched = await world.call('PATCH', `/v1/connections/${body.id}`, {
      body: { credentials: { signingSecret: 'wsec_0123456789abcdef' }, test: false },
    })
    expect(patched.body.credentials).toEqual({ apiKey: '•••1234', signingSecret: '•••cdef' })
    expect(openTold((await told(body.id))[1])).toEqual({ apiKey: 'elevenlabs-key-1234', signingSecret: 'wsec_0123456789abcdef' })
    const without = await world.call('PATCH', `/v1/connections/${body.id}`, {
      body: { credentials: { signingSecret: null }, test: false },
    })
    expect(without.body.credentials).toEqual({ apiKey: '•••1234' })
  })

  test('a new door has another address and header, of the same source', async () => {
    const { body } = await connect()
    const again = await world.call('POST', `/v1/connections/${body.id}/webhook`, { body: {} })
    expect(again.body.webhookSourceId).toBe(body.webhookSourceId)
    expect(again.body.webhook.path).not.toBe(body.webhook.path)
    const [first, second] = await told(body.id)
    expect(second?.webhook?.sourceId).toBe(first?.webhook?.sourceId)
    expect(second?.webhook?.tokenHash).not.toBe(first?.webhook?.tokenHash)
    expect(openTold(second)).toEqual({ token, webhookHeader: again.body.webhook.header.value })
  })

  test('removed, its credentials are wiped and everybody is told', async () => {
    const { body } = await connect()
    const removed = await world.call('DELETE', `/v1/connections/${body.id}`)
    expect(removed.body).toMatchObject({ status: 'removed', credentials: {} })
    expect(await rowOf(body.id)).toMatchObject({ sealed_credentials: null, key_version: null, credential_hints: {} })
    expect((await told(body.id)).at(-1)).toMatchObject({
      status: 'removed',
      credentials: null,
      webhook: { sourceId: body.webhookSourceId },
    })
    expect((await world.call('GET', '/v1/connections?limit=100')).body.items.map(({ id }: { id: string }) => id)).not.toContain(
      body.id,
    )
    for (const [method, path] of [
      ['PATCH', ''],
      ['POST', '/test'],
      ['POST', '/webhook'],
    ] as const) {
      expect((await world.call(method, `/v1/connections/${body.id}${path}`, { body: {} })).status).toBe(404)
    }
    expect((await world.call('DELETE', `/v1/connections/${body.id}`)).body.revision).toBe(removed.body.revision)
  })

  test('another organization finds nothing', async () => {
    const { body } = await connect()
    const key = world.otherKey
    for (const [method, path, send] of [
      ['GET', '', undefined],
      ['PATCH', '', { displayName: 'mine' }],
      ['POST', '/test', {}],
      ['POST', '/webhook', {}],
      ['DELETE', '', undefined],
    ] as const) {
      const answer = await world.call(method, `/v1/connections/${body.id}${path}`, { key, ...(send ? { body: send } : {}) })
      expect(answer.status).toBe(404)
    }
  })
})

describe('reports of the services', () => {
  const report = async (connectionId: string, more: Partial<DataOf<typeof connectionReported>> = {}, organizationId?: string) => {
    await world.state(
      'accounts',
      connectionReported,
      { connectionId, outcome: 'refused', detail: '401', rateLimit: null, at: new Date().toISOString(), ...more },
      organizationId === undefined ? {} : { organizationId },
    )
    await world.settle()
  }

  test('a refusal is looked into: a good token survives it, a bad one is marked', async () => {
    const good = await connect()
    await report(good.body.id)
    expect(await rowOf(good.body.id)).toMatchObject({ status: 'active', error_count: 1 })
    // Told once more, sealed anew: whoever waits for other credentials may go on with these.
    const [first, second, ...more] = await told(good.body.id)
    expect(more).toEqual([])
    expect(second?.credentials?.sealed).not.toBe(first?.credentials?.sealed)
    expect(openTold(second)).toEqual(openTold(first))
    const bad = await connect({ credentials: { token: 'whapi-token-of-nobody' }, test: false })
    await report(bad.body.id)
    expect(await rowOf(bad.body.id)).toMatchObject({ status: 'error', error_count: 2 })
    expect((await told(bad.body.id)).map(({ status }) => status)).toEqual(['pending', 'error'])
  })

  test('a phone that is not linked is no proof: services go on when it is linked again and somebody tries', async () => {
    const { body } = await connect()
    await gateway.setChannelStatus('QR')
    await report(body.id)
    const tried = await world.call('POST', `/v1/connections/${body.id}/test`, { body: {} })
    expect(tried.body).toMatchObject({ status: 'active', errorCount: 1, statusReason: expect.stringContaining('not linked') })
    expect(await told(body.id)).toHaveLength(1)
    await gateway.setChannelStatus('AUTH')
    const linked = await world.call('POST', `/v1/connections/${body.id}/test`, { body: {} })
    expect(linked.body).toMatchObject({ status: 'active', errorCount: 0, statusReason: null })
    expect(await told(body.id)).toHaveLength(2)
  })

  test('the third in a row needs no proof, and a call that succeeds mends it', async () => {
    const { body } = await connect()
    gateway.faults.always({ kind: 'status', status: 503 }, ({ path }) => path === '/health')
    for (let i = 0; i < 3; i++) await report(body.id, { detail: 'Unauthorized' })
    expect(await rowOf(body.id)).toMatchObject({ status: 'error', status_reason: 'Unauthorized' })
    await report(body.id, { outcome: 'ok', detail: null, rateLimit: { remaining: 7, resetAt: '2026-11-21T10:00:00.000Z' } })
    expect(await rowOf(body.id)).toMatchObject({ status: 'active', error_count: 0, last_error: null, rate_limit_remaining: 7 })
  })

  test('one about credentials that have been replaced, or of another organization, changes nothing', async () => {
    const { body } = await connect()
    await report(body.id, { at: '2020-01-01T00:00:00.000Z' })
    await report(body.id, {}, world.otherOrganizationId)
    expect(await rowOf(body.id)).toMatchObject({ status: 'active', error_count: 0, last_error: null })
  })
})

describe('keys', () => {
  test('a new data key seals all connections of the organization anew and the old one is gone', async () => {
    const mine = await connect()
    const answer = await world.call('POST', '/v1/encryption-key/rotate', { body: {} })
    expect(answer.status).toBe(200)
    const rows = await world.sql<{ key_version: number }>(
      `select distinct key_version from accounts.connections where organization_id = $1 and status <> 'removed'`,
      [world.organizationId],
    )
    expect(rows).toEqual([{ key_version: answer.body.version }])
    expect(
      await world.sql(
        `select 1 from accounts.encryption_keys where organization_id = $1 and version < $2 and wrapped is not null`,
        [world.organizationId, answer.body.version],
      ),
    ).toEqual([])
    expect(openTold((await told(mine.body.id)).at(-1))).toMatchObject({ token })
    expect((await world.call('POST', `/v1/connections/${mine.body.id}/test`, { body: {} })).body.test.outcome).toBe('ok')
  })

  test('connections made while the key is replaced are not lost', async () => {
    const answers = await Promise.all([
      ...Array.from({ length: 6 }, () => connect()),
      ...Array.from({ length: 3 }, () => world.call('POST', '/v1/encryption-key/rotate', { body: {} })),
    ])
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 201, 201, 201, 201, 201, 201])
    for (const { body } of answers.slice(0, 6)) {
      expect((await world.call('POST', `/v1/connections/${body.id}/test`, { body: {} })).body.test.outcome).toBe('ok')
    }
  })

  test('sealed credentials swapped between two rows, or with a byte changed, do not open', async () => {
    const [a, b] = [await connect(), await connect()]
    await world.sql(
      `update accounts.connections as c set sealed_credentials = o.sealed_credentials from accounts.connections o
       where (c.connection_id, o.connection_id) in (($1, $2), ($2, $1))`,
      [a.body.id, b.body.id],
    )
    const requests = gateway.requests()
    for (const { body } of [a, b]) {
      expect((await world.call('POST', `/v1/connections/${body.id}/test`, { body: {} })).status).toBe(500)
    }
    expect(gateway.requests()).toBe(requests)
    await world.call('DELETE', `/v1/connections/${a.body.id}`)
    await world.call('DELETE', `/v1/connections/${b.body.id}`)
  })

  test('after a change of the installation key everything is wrapped anew, in every organization, and the old key is not needed', async () => {
    const mine = await connect()
    const theirs = await connect({}, world.otherKey)
    await changeKey(world)
    // The previous slot still opens.
    expect((await world.call('POST', `/v1/connections/${mine.body.id}/test`, { body: {} })).body.test.outcome).toBe('ok')
    expect((await world.call('GET', '/v1/operator/rewrap')).body).toEqual({ total: 2, remaining: 2, remainingTexts: 0 })
    expect((await world.call('POST', '/v1/operator/rewrap', { body: {} })).status).toBe(202)
    await expect
      .poll(async () => (await world.call('GET', '/v1/operator/rewrap')).body, { timeout: 15_000 })
      .toEqual({ total: 2, remaining: 0, remainingTexts: 0 })
    await world.settle()

    const wrapped = await world.sql<{ wrapped: string }>('select wrapped from accounts.encryption_keys where wrapped is not null')
    const kinds = new Set(wrapped.map((row) => row.wrapped.split('.')[1]))
    expect([wrapped.length, kinds.size]).toEqual([2, 1])
    const revision = (await told(mine.body.id)).length
    expect((await world.call('POST', '/v1/operator/rewrap', { body: {} })).body).toEqual({
      total: 2,
      remaining: 0,
      remainingTexts: 0,
    })
    await world.settle()
    expect((await told(mine.body.id)).length).toBe(revision)

    await dropPreviousKey(world)
    for (const [{ body }, key] of [
      [mine, world.key],
      [theirs, world.otherKey],
    ] as const) {
      expect((await world.call('POST', `/v1/connections/${body.id}/test`, { body: {}, key })).body.test.outcome).toBe('ok')
      const owner = key === world.key ? world.organizationId : world.otherOrganizationId
      expect(openTold((await told(body.id)).at(-1), owner)).toMatchObject({ token })
    }
  })

  test('a data key that does not open holds up no other', async () => {
    const [first] = await world.sql<{ holder: string }>('select holder from accounts.key_holders order by holder limit 1')
    await world.sql(
      `update accounts.encryption_keys set wrapped = overlay(wrapped placing 'AAAA' from 20) where organization_id = $1 and wrapped is not null`,
      [first?.holder],
    )
    await changeKey(world)
    await world.call('POST', '/v1/operator/rewrap', { body: {} })
    await expect
      .poll(async () => (await world.call('GET', '/v1/operator/rewrap')).body, { timeout: 15_000 })
      .toEqual({ total: 2, remaining: 1, remainingTexts: 0 })
  })
})
