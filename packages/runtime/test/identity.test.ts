import {
  installationId,
  keyChanged,
  memberChanged,
  memberJoined,
  memberRemoved,
  organizationCreated,
  organizationUpdated,
  sessionRevoked,
  signingKeyChanged,
} from '@parley/contracts'
import type { KeyRecord, Membership, OrganizationRecord, Role } from '@parley/contracts'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { SignJWT } from 'jose'
import { createHmac, randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { checksumOf } from '../src/key-text.ts'
import type { Running } from '../src/start.ts'
import { startWorld, type World } from '../src/testing/index.ts'
import { createSigner, createTestKey, desk, nowSeconds, registry, type RegistryApp, type Signer } from './registry.ts'
import { counter } from './shop.ts'

let world: World
/** A second replica of the same services, with memory and connections of its own (in this process: nothing is shared but the code). */
let replica: Running
let signer: Signer
const userId = randomUUIDv7()
const app = () => world.running.services.find((entry) => entry.name === 'registry')?.app as RegistryApp
const notes = '/v1/notes?counter=a'

beforeAll(async () => {
  world = await startWorld({
    services: [registry, counter, desk],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
  })
  signer = await createSigner(userId, world.organizationId)
  app().signingKeys.push({ kid: signer.kid, x: signer.x, trustedUntil: null })
  replica = await world.startReplica()
  // A question goes to either replica: both must answer alike.
  const other = replica.services.find((entry) => entry.name === 'registry')?.app as RegistryApp
  Object.assign(other, app())
})
afterAll(async () => {
  await world?.stop()
})

const needed = { status: 403, body: { error: { code: 'forbidden', details: { reason: 'second_factor_needed' } } } }
const call = async (credential: string, path = notes, url = world.running.url) => {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${credential}` } })
  // The shape is what each test asserts.
  const body: ReturnType<typeof JSON.parse> = await response.json()
  return { status: response.status, headers: response.headers, body }
}
/** Puts a person where accounts would be asked for them. */
function know(role: Role, more: Partial<Membership> = {}): Membership {
  const member: Membership = { userId: randomUUIDv7(), role, permissions: [], status: 'active', revision: 1, ...more }
  app().members.set(`${world.organizationId} ${member.userId}`, member)
  return member
}
function knowKey(more: Partial<KeyRecord> = {}): { key: string; record: KeyRecord } {
  const made = createTestKey(world.organizationId, more)
  app().keys.set(made.record.keyId, made.record)
  return made
}
const tokenOf = (member: Membership, claims = {}) => signer.sign({ sub: member.userId, ...claims })
const refused = {
  error: { code: 'unauthenticated', message: 'A valid access token or API key is needed: authorization: Bearer <token or key>.' },
}
/** Milliseconds until `check` holds; fails after 5 s, within which a removal must hold everywhere. */
async function within5s(check: () => Promise<boolean>): Promise<number> {
  const started = performance.now()
  while (!(await check())) {
    if (performance.now() - started > 5_000) throw new Error('Not within 5 s.')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return performance.now() - started
}
const everywhere = (token: string) =>
  Promise.all(
    [world.running.url, replica.url].flatMap((url) =>
      [notes, '/v1/desk'].map(async (path) => (await call(token, path, url)).status),
    ),
  )

describe('a key of an organization', () => {
  test('opens what its scopes say, for its organization, and never with a person’s name', async () => {
    const { key, record } = knowKey()
    const answer = await call(key, '/v1/desk')
    expect(answer).toMatchObject({
      status: 200,
      body: { organizationId: world.organizationId, actor: { kind: 'key', id: record.keyId } },
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('ratelimit')).toBeNull()
    expect((await call(key, '/v1/who')).status).toBe(403)
  })

  test('without the scope is told which one it lacks (A22)', async () => {
    const { key } = knowKey({ scopes: ['channels:read'] })
    expect(await call(key)).toMatchObject({
      status: 403,
      body: { error: { code: 'forbidden', message: "This key does not allow 'messages:read'." } },
    })
  })

  test('with a wrong checksum or another prefix is refused before anything is looked up (A22)', async () => {
    const { key, record } = knowKey()
    const wrong = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')
    const test = key.replace('ply_live', 'ply_test')
    for (const credential of [wrong, test, `${test.slice(0, -6)}${checksumOf(test.slice(0, -6))}`])
      expect(await call(credential)).toMatchObject({ status: 401, body: refused })
    expect(app().asked).not.toContain(`key ${record.keyId}`)
  })

  test('that is revoked, expired or unknown, or whose secret is another’s, is refused in the same words (A22)', async () => {
    const good = knowKey()
    const other = knowKey()
    const body = `ply_live_${good.record.keyId}_${other.key.slice(43, 86)}`
    const stranger = createTestKey(world.organizationId)
    const credentials = [
      knowKey({ status: 'revoked' }).key,
      knowKey({ expiresAt: new Date(Date.now() - 1).toISOString() }).key,
      stranger.key,
      createTestKey(randomUUIDv7()).key,
      `${body}${checksumOf(body)}`,
    ]
    for (const credential of credentials) {
      const answer = await call(credential)
      expect(answer).toMatchObject({ status: 401, body: refused })
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
    expect((await call(good.key)).status).toBe(200)
  })

  test('that was rotated opens a while longer, and not after that', async () => {
    const old = createTestKey(world.organizationId)
    const until = (ms: number) => new Date(Date.now() + ms).toISOString()
    const { record } = knowKey({
      keyId: old.record.keyId,
      previous: { hash: old.record.hash, until: until(60_000) },
    })
    expect((await call(old.key)).status).toBe(200)
    const next = { ...record, previous: { hash: old.record.hash, until: until(-1) }, revision: 2 }
    await world.state('registry', keyChanged, next)
    await within5s(async () => (await call(old.key)).status === 401)
  })

  test('that is revoked is out everywhere within 5 s', async () => {
    const { key, record } = knowKey()
    expect(await everywhere(key)).toEqual([200, 200, 200, 200])
    await world.state('registry', keyChanged, { ...record, status: 'revoked', revision: 2 })
    await within5s(async () => (await everywhere(key)).every((status) => status === 401))
    // An answer that was on its way with the older revision does not bring it back.
    await world.state('registry', keyChanged, record)
    await world.settle()
    expect(await everywhere(key)).toEqual([401, 401, 401, 401])
  })
})

describe('the limits of a key', () => {
  test('hold over two replicas and two services together, to the call', async () => {
    const { key } = knowKey({ perDay: 60 })
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => call(key, i % 2 ? notes : '/v1/desk', i % 4 < 2 ? world.running.url : replica.url)),
    )
    const statuses = answers.map((answer) => answer.status)
    const through = statuses.filter((status) => status === 200).length
    expect(through).toBeLessThanOrEqual(60)
    expect(through).toBeGreaterThanOrEqual(57)
    expect(statuses.filter((status) => status === 429)).toHaveLength(300 - through)
  })

  test('are told with each answer, and a refusal says when to come back', async () => {
    const { key } = knowKey({ perMinute: 1_000, perDay: 2 })
    const first = await call(key)
    expect(first.headers.get('ratelimit-policy')).toBe('"minute";q=1000;w=60, "day";q=2;w=86400')
    expect(first.headers.get('ratelimit')).toMatch(/^"minute";r=999;t=\d+, "day";r=1;t=\d+$/)
    await call(key)
    const last = await call(key)
    expect(last).toMatchObject({
      status: 429,
      body: { error: { code: 'too_many_requests', message: 'This key may make 2 calls a day.' } },
    })
    const seconds = Number(last.headers.get('retry-after'))
    expect(seconds).toBeGreaterThan(0)
    expect(seconds).toBeLessThanOrEqual(86_400)
    expect(last.body.error.details.retryAfterMs).toBe(seconds * 1000)
  })

  test('and its use is told to accounts, once for many calls, at the latest when a process ends', async () => {
    const { key, record } = knowKey()
    const { organizationId } = world
    const third = await world.startReplica()
    const its = third.services.find((entry) => entry.name === 'registry')?.app as RegistryApp
    Object.assign(its, app())
    for (let i = 0; i < 3; i++) expect((await call(key, '/v1/desk', third.url)).status).toBe(200)
    await third.stop()
    const told = app().used.filter((use) => use.keyId === record.keyId)
    expect(told).toMatchObject([{ organizationId, requests: 3 }])
    expect(Date.now() - Date.parse(told[0]?.lastUsedAt ?? '')).toBeLessThan(10_000)
  })
})

describe('an access token', () => {
  test('is its owner’s, with what their role allows here and now', async () => {
    const member = know('viewer')
    const sid = randomUUIDv7()
    const authTime = nowSeconds() - 100
    const { status, body } = await call(await tokenOf(member, { sid, auth_time: authTime }), '/v1/who')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      organizationId: world.organizationId,
      actor: { kind: 'member', id: member.userId },
      userId: member.userId,
      sessionId: sid,
      authenticatedAt: authTime * 1000,
    })
    expect(body.permissions).toContain('messages:read')
    expect(body.permissions).not.toContain('messages:write')
    const write = await fetch(`${world.running.url}/v1/notes`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tokenOf(member)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ counter: 'a', note: 'no' }),
    })
    expect(write.status).toBe(403)
  })

  test('gives what was allowed on top of the role', async () => {
    const { body } = await call(await tokenOf(know('viewer', { permissions: ['messages:write'] })), '/v1/who')
    expect(body.permissions).toContain('messages:write')
  })

  test('of somebody who has chosen no organization opens what is about themselves only', async () => {
    const token = await tokenOf(know('owner'), { org: undefined })
    expect((await call(token, '/v1/who')).body).toMatchObject({ organizationId: installationId, permissions: [] })
    expect((await call(token)).status).toBe(403)
  })

  test('of a member of another organization, or of a suspended one, opens nothing of it', async () => {
    const stranger = await tokenOf(know('owner'), { org: world.otherOrganizationId })
    expect((await call(stranger)).status).toBe(403)
    const suspended = await tokenOf(know('owner', { status: 'suspended' }))
    expect((await call(suspended)).status).toBe(403)
    expect((await call(suspended, '/v1/who')).body).toMatchObject({ organizationId: installationId, permissions: [] })
  })

  test('is not needed, and not read, where anybody may call', async () => {
    expect(await call('nonsense', '/v1/hours')).toMatchObject({
      status: 200,
      body: { organizationId: installationId, permissions: [] },
    })
  })

  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  /** Claims that are right, for headers and signatures that are not. */
  const goodClaims = () => ({
    iss: 'parley',
    aud: 'parley',
    sub: userId,
    org: world.organizationId,
    sid: randomUUIDv7(),
    iat: nowSeconds(),
    exp: nowSeconds() + 600,
    auth_time: nowSeconds(),
  })
  const forgeries: [string, () => Promise<string> | string][] = [
    ['without a signature (alg none)', () => `${part({ alg: 'none', typ: 'at+jwt', kid: signer.kid })}.${part(goodClaims())}.`],
    [
      'signed with the public key as a shared secret (HS256)',
      () => {
        const text = `${part({ alg: 'HS256', typ: 'at+jwt', kid: signer.kid })}.${part(goodClaims())}`
        return `${text}.${createHmac('sha256', Buffer.from(signer.x, 'base64url')).update(text).digest('base64url')}`
      },
    ],
    ['of a key that is nobody’s', async () => (await createSigner(userId, world.organizationId)).sign()],
    [
      'that names our key and is signed with another',
      async () => (await createSigner(userId, world.organizationId)).sign({}, { kid: signer.kid }),
    ],
    ['whose header says where to fetch a key', () => signer.sign({}, { jku: 'https://attacker.example/jwks.json' })],
    ['whose header brings a key', () => signer.sign({}, { jwk: { kty: 'OKP', crv: 'Ed25519', x: signer.x } })],
    ['whose header points at a certificate', () => signer.sign({}, { x5u: 'https://attacker.example/cert' })],
    [
      'with a critical extension',
      () => `${part({ alg: 'EdDSA', typ: 'at+jwt', kid: signer.kid, crit: ['b64'], b64: true })}.${part(goodClaims())}.AAAA`,
    ],
    ['without a key id', () => signer.sign({}, { kid: undefined as never })],
    ['of another type', () => signer.sign({}, { typ: 'JWT' })],
    ['that has expired this second', () => signer.sign({ exp: nowSeconds() })],
    ['that never expires', () => signer.sign({ exp: undefined })],
    ['that begins in two minutes', () => signer.sign({ nbf: nowSeconds() + 120 })],
    ['from the future', () => signer.sign({ iat: nowSeconds() + 120 })],
    ['for another audience', () => signer.sign({ aud: 'others' })],
    ['of another issuer', () => signer.sign({ iss: 'https://issuer.example' })],
    ['without an issuer', () => signer.sign({ iss: undefined })],
    ['of nobody', () => signer.sign({ sub: undefined })],
    ['of somebody who is no person here', () => signer.sign({ sub: 'admin' })],
    ['for what is no organization', () => signer.sign({ org: '*' })],
    [
      'with another payload under the same signature',
      async () => {
        const [header, , signature] = (await signer.sign()).split('.')
        return `${header}.${part({ ...goodClaims(), sub: randomUUIDv7() })}.${signature}`
      },
    ],
    ['of 8 kB and more', () => signer.sign({ padding: 'x'.repeat(8_192) })],
    ['that is three dots', () => '...'],
    ['that is no token', () => 'eyJhbGciOiJFZERTQSJ9'],
  ]
  test.each(forgeries)('%s is refused, in the same words (A23)', async (_what, forge) => {
    app().members.set(`${world.organizationId} ${userId}`, {
      userId,
      role: 'owner',
      permissions: [],
      status: 'active',
      revision: 1,
    })
    expect(await call(await forge())).toMatchObject({ status: 401, body: refused })
    expect((await call(await signer.sign())).status).toBe(200)
  })

  test('of a megabyte does not get past the door (A23)', async () => {
    expect([401, 431]).toContain(
      await fetch(world.running.url + notes, { headers: { authorization: `Bearer ${'x'.repeat(1_000_000)}` } }).then(
        (answer) => answer.status,
      ),
    )
  })

  test('a minute ahead of our clock is taken, because clocks differ', async () => {
    const member = know('viewer')
    expect((await call(await tokenOf(member, { iat: nowSeconds() + 50, nbf: nowSeconds() + 50 }))).status).toBe(200)
  })
})

describe('what ends, ends everywhere within 5 s', () => {
  test('a membership: in two services of two replicas, however often the token was used', async () => {
    const member = know('admin')
    const token = await tokenOf(member)
    expect(await everywhere(token)).toEqual([200, 200, 200, 200])
    const gone: Membership = { ...member, status: 'removed', revision: 2 }
    await world.state('registry', memberRemoved, gone)
    await within5s(async () => (await everywhere(token)).every((status) => status === 403))
    await world.state('registry', memberJoined, member)
    await world.settle()
    expect(await everywhere(token)).toEqual([403, 403, 403, 403])
  })

  test('a role', async () => {
    const member = know('viewer', { permissions: ['messages:write'] })
    const token = await tokenOf(member)
    expect(await everywhere(token)).toEqual([200, 200, 200, 200])
    await world.state('registry', memberChanged, { ...member, role: 'product_editor', permissions: [], revision: 2 })
    await within5s(async () => (await everywhere(token)).every((status) => status === 403))
  })

  test('a session', async () => {
    const member = know('viewer')
    const sid = randomUUIDv7()
    const [ended, other] = [await tokenOf(member, { sid }), await tokenOf(member)]
    expect(await everywhere(ended)).toEqual([200, 200, 200, 200])
    const forgetAfter = new Date(Date.now() + 600_000).toISOString()
    await world.state(
      'registry',
      sessionRevoked,
      { sessionId: sid, userId: member.userId, forgetAfter },
      { organizationId: installationId },
    )
    await within5s(async () => (await everywhere(ended)).every((status) => status === 401))
    expect(await everywhere(other)).toEqual([200, 200, 200, 200])
  })

  test('a signing key, and it is not trusted again', async () => {
    const member = know('viewer')
    const old = await createSigner(member.userId, world.organizationId)
    const { kid, x } = old
    await world.state('registry', signingKeyChanged, { kid, x, trustedUntil: null }, { organizationId: installationId })
    await world.settle()
    const token = await old.sign()
    expect(await everywhere(token)).toEqual([200, 200, 200, 200])
    const trustedUntil = new Date().toISOString()
    await world.state('registry', signingKeyChanged, { kid, x, trustedUntil }, { organizationId: installationId })
    await within5s(async () => (await everywhere(token)).every((status) => status === 401))
    await world.state('registry', signingKeyChanged, { kid, x, trustedUntil: null }, { organizationId: installationId })
    await world.settle()
    expect(await everywhere(token)).toEqual([401, 401, 401, 401])
  })
})

const organizationRecord = (organizationId: string, more: Partial<OrganizationRecord> = {}): OrganizationRecord => ({
  organizationId,
  name: 'Shop',
  status: 'active',
  timezone: 'UTC',
  locale: 'en',
  currency: 'USD',
  ai: { enabled: true, modelPreference: null, confidenceThreshold: 0.5, monthlyBudgetMicros: null },
  revision: 1,
  ...more,
})

describe('an organization', () => {
  /** One that nobody else in this file acts for, with a viewer and a key. */
  function another() {
    const organizationId = randomUUIDv7()
    const member: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 1 }
    app().members.set(`${organizationId} ${member.userId}`, member)
    const { key, record } = createTestKey(organizationId)
    app().keys.set(record.keyId, record)
    const state = (more: Partial<OrganizationRecord>) =>
      world.state('registry', organizationUpdated, organizationRecord(organizationId, more), { organizationId })
    const token = (claims = {}) => tokenOf(member, { org: organizationId, ...claims })
    return { organizationId, key, state, token }
  }
  const closed = {
    status: 403,
    body: {
      error: { code: 'forbidden', message: 'This organization is closed.', details: { reason: 'organization_closed' } },
    },
  }

  test('that is closed is shut to its members and keys everywhere within 5 s, until it is opened again', async () => {
    const { organizationId, key, state, token } = another()
    const of = await token()
    for (const credential of [of, key]) expect(await everywhere(credential)).toEqual([200, 200, 200, 200])
    await state({ status: 'inactive', revision: 2 })
    await within5s(async () => [...(await everywhere(of)), ...(await everywhere(key))].every((status) => status === 403))
    for (const credential of [of, key]) expect(await call(credential)).toMatchObject(closed)
    // What is about the person stays theirs, and nobody else learns that it is closed.
    expect((await call(of, '/v1/who')).body).toMatchObject({ organizationId: installationId, permissions: [] })
    const stranger = await call(await tokenOf(know('owner'), { org: organizationId }))
    expect(stranger.body.error.message).toBe('You are not a member of this organization.')
    expect((await call(createTestKey(organizationId).key)).status).toBe(401)
    // A late word of the time before does not open it.
    await state({ revision: 1 })
    await world.settle()
    expect(await everywhere(of)).toEqual([403, 403, 403, 403])
    await state({ revision: 3 })
    await within5s(async () => [...(await everywhere(of)), ...(await everywhere(key))].every((status) => status === 200))
  })

  test('that was closed before a service heard of it is shut from the first call, and one that accounts does not know as well', async () => {
    for (const answer of [{ status: 'inactive', revision: 2 } as const, null]) {
      const { organizationId, key, token } = another()
      app().organizations.set(organizationId, answer && { organizationId, ...answer })
      for (const credential of [await token(), key]) expect(await call(credential, '/v1/desk')).toMatchObject(closed)
    }
  })

  test('that is being set up is open', async () => {
    const { organizationId, token } = another()
    app().organizations.set(organizationId, { organizationId, status: 'pending_setup', revision: 1 })
    expect(await everywhere(await token())).toEqual([200, 200, 200, 200])
  })

  test('that requires a second factor is shut within 5 s to sessions without one, not to keys and not to oneself', async () => {
    const { key, state, token } = another()
    const [one, two] = [await token(), await token({ mfa: true })]
    for (const credential of [one, two, key]) expect(await everywhere(credential)).toEqual([200, 200, 200, 200])
    await state({ requireTwoFactor: true, revision: 2 })
    await within5s(async () => (await everywhere(one)).every((status) => status === 403))
    expect(await call(one)).toMatchObject(needed)
    expect(await call(await token({ mfa: false }))).toMatchObject(needed)
    expect((await call(await token({ mfa: 'yes' }))).status).toBe(401)
    for (const credential of [two, key]) expect(await everywhere(credential)).toEqual([200, 200, 200, 200])
    expect((await call(one, '/v1/who')).body).toMatchObject({ organizationId: installationId, permissions: [] })
    await state({ requireTwoFactor: false, revision: 3 })
    await within5s(async () => (await everywhere(one)).every((status) => status === 200))
  })
})

describe('an installation that requires a second factor', () => {
  let strict: World
  beforeAll(async () => {
    strict = await startWorld({
      services: [registry, desk],
      postgresUrl: inject('postgresUrl'),
      natsUrl: inject('natsUrl'),
      environment: { PARLEY_REQUIRE_TWO_FACTOR: 'true' },
    })
  })
  afterAll(async () => {
    await strict?.stop()
  })

  test('is shut to every session without one, whatever its organization says, not to keys and not to oneself', async () => {
    const entry = strict.running.services.find(({ name }) => name === 'registry')?.app as RegistryApp
    const member: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 1 }
    const organizationId = randomUUIDv7()
    entry.members.set(`${organizationId} ${member.userId}`, member)
    const signer = await createSigner(member.userId, organizationId)
    entry.signingKeys.push({ kid: signer.kid, x: signer.x, trustedUntil: null })
    const { key, record } = createTestKey(organizationId)
    entry.keys.set(record.keyId, record)
    const ask = (credential: string, path: string) => call(credential, path, strict.running.url)
    const [one, two] = [await signer.sign(), await signer.sign({ mfa: true })]
    expect(await ask(one, '/v1/desk')).toMatchObject(needed)
    expect((await ask(one, '/v1/who')).body).toMatchObject({ organizationId: installationId, permissions: [] })
    for (const credential of [two, key, strict.key]) expect((await ask(credential, '/v1/desk')).status).toBe(200)
  })
})

describe('while accounts is away', () => {
  let alone: World
  const member: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 1 }
  let known: Signer
  beforeAll(async () => {
    alone = await startWorld({ services: [counter], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
    known = await createSigner(member.userId, alone.organizationId)
    // Accounts said so before it went away.
    await alone.state('counter', organizationCreated, organizationRecord(alone.organizationId))
    await alone.state('counter', memberJoined, member)
    const { kid, x } = known
    await alone.state('counter', signingKeyChanged, { kid, x, trustedUntil: null }, { organizationId: installationId })
    await alone.settle()
  })
  afterAll(async () => {
    await alone?.stop()
  })
  const ask = (credential: string) => call(credential, notes, alone.running.url)

  test('whoever is known goes on working', async () => {
    expect((await ask(await known.sign())).status).toBe(200)
    const { key, record } = createTestKey(alone.organizationId, { perMinute: 5 })
    await alone.state('counter', keyChanged, record)
    await alone.settle()
    expect((await ask(key)).status).toBe(200)
  })

  test('whoever is not known is told to come back, not that they are nobody', async () => {
    const unknown = [
      createTestKey(alone.organizationId).key,
      await known.sign({ sub: randomUUIDv7() }),
      await (await createSigner(member.userId, alone.organizationId)).sign(),
    ]
    for (const credential of unknown) {
      const answer = await ask(credential)
      expect(answer).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } })
      expect(answer.headers.get('retry-after')).toBe('2')
    }
  })

  test('what was forged is still refused, without asking anybody', async () => {
    const forged = await new SignJWT({ sub: member.userId, org: alone.organizationId, auth_time: 0 })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: known.kid })
      .setIssuer('parley')
      .setAudience('parley')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(Buffer.from(known.x))
    expect(await ask(forged)).toMatchObject({ status: 401, body: refused })
  })
})

describe('while the stream brings nothing', () => {
  let apart: World
  let broker: NatsConnection
  let streams: JetStreamManager
  beforeAll(async () => {
    apart = await startWorld({ services: [registry, desk], postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
    broker = await connect({ servers: inject('natsUrl') })
    streams = await jetstreamManager(broker)
  })
  afterAll(async () => {
    await apart?.stop()
    await broker?.close()
  })
  const knowing = () => apart.running.services.find(({ name }) => name === 'registry')?.app as RegistryApp
  const stream = () => apart.running.bus.stream
  const ask = async (credential: string) => (await call(credential, '/v1/desk', apart.running.url)).status

  /** Two keys, a member and their session, all known by events. */
  async function heard() {
    const member: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 1 }
    const organizationId = randomUUIDv7()
    const kept = createTestKey(organizationId)
    const revoked = createTestKey(organizationId)
    const signer = await createSigner(member.userId, organizationId)
    const sessionId = randomUUIDv7()
    const app = knowing()
    app.members.set(`${organizationId} ${member.userId}`, member)
    for (const { record } of [kept, revoked]) app.keys.set(record.keyId, record)
    app.signingKeys.push({ kid: signer.kid, x: signer.x, trustedUntil: null })
    const token = await signer.sign({ sid: sessionId })
    const [owner, other] = [await signer.sign(), kept.key]
    expect(await Promise.all([token, owner, other, revoked.key].map(ask))).toEqual([200, 200, 200, 200])
    return { organizationId, member, sessionId, token, owner, kept: other, revoked, app }
  }
  type Heard = Awaited<ReturnType<typeof heard>>

  /** What accounts writes down and says, in a stream that lets nobody hear it. */
  async function undo({ app, revoked, sessionId }: Heard): Promise<void> {
    app.keys.set(revoked.record.keyId, { ...revoked.record, status: 'revoked', revision: 2 })
    app.endedSessions.add(sessionId)
  }
  async function isUndone({ token, owner, kept, revoked }: Heard): Promise<void> {
    await within5s(async () => (await ask(revoked.key)) === 401 && (await ask(token)) === 401)
    // Others are not concerned.
    expect(await Promise.all([owner, kept].map(ask))).toEqual([200, 200])
  }

  test('because it is full, a revoked key and an ended session are out within 5 s', async () => {
    const before = await heard()
    await apart.settle()
    // Something must be in it: one byte of room would be enough for nobody to notice.
    await apart.state('registry', keyChanged, before.revoked.record, before)
    await apart.settle()
    const { config, state } = await streams.streams.info(stream())
    await streams.streams.update(stream(), { ...config, max_bytes: Math.max(1, state.bytes) })
    await undo(before)
    await isUndone(before)
    await streams.streams.update(stream(), config)
  })
})

test('an unknown key takes as long as a known one with another secret (A64)', async () => {
  const { record } = knowKey()
  const sealed = (body: string) => `${body}${checksumOf(body)}`
  const wrongSecret = sealed(`ply_live_${record.keyId}_${'a'.repeat(43)}`)
  const unknown = sealed(`ply_live_${createTestKey(world.organizationId).record.keyId}_${'a'.repeat(43)}`)
  const times: Record<string, number[]> = { wrongSecret: [], unknown: [] }
  // In turn, so that whatever else the machine does meets both alike.
  for (let i = 0; i < 1_000; i++) {
    for (const [name, credential] of [
      ['wrongSecret', wrongSecret],
      ['unknown', unknown],
    ] as const) {
      const started = performance.now()
      await fetch(world.running.url + notes, { headers: { authorization: `Bearer ${credential}` } }).then((answer) =>
        answer.arrayBuffer(),
      )
      times[name]?.push(performance.now() - started)
    }
  }
  const median = (list: number[] = []) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN
  const [a, b] = [median(times['wrongSecret']), median(times['unknown'])]
  expect(Math.abs(a - b)).toBeLessThan(Math.max(0.25, 0.2 * Math.max(a, b)))
})
