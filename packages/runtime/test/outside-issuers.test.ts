import type { Membership } from '@parley/contracts'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { randomUUIDv7 } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../src/testing/index.ts'
import { desk, nowSeconds, registry, type RegistryApp } from './registry.ts'

interface Provider {
  issuer: string
  alg: string
  publicJwk: JWK
  sign(claims?: Record<string, unknown>, typ?: string): Promise<string>
}

let world: World
let jwks: Server
/** What the providers' JWKS address answers: keys, or a status of its own. */
let answer: { status: number; body: string; location?: string } = { status: 200, body: '' }
let fetched = 0
let rsa: Provider
let ec: Provider
/** Issuers with a table of scopes. */
let limited: Provider
let listed: Provider
const member: Membership = { userId: randomUUIDv7(), role: 'viewer', permissions: [], status: 'active', revision: 1 }
const app = () => world.running.services.find((entry) => entry.name === 'registry')?.app as RegistryApp

async function createProvider(issuer: string, alg: 'RS256' | 'ES256'): Promise<Provider> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const kid = `${alg}-${randomUUIDv7()}`
  return {
    issuer,
    alg,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    sign: (claims = {}, typ = 'at+jwt') => {
      const whole = { iss: issuer, aud: 'parley-console', sub: 'auth0|1', iat: nowSeconds(), exp: nowSeconds() + 300, ...claims }
      return new SignJWT(whole).setProtectedHeader({ alg, typ, kid }).sign(privateKey)
    },
  }
}

beforeAll(async () => {
  jwks = createServer((_request, response) => {
    fetched++
    const headers = { 'content-type': 'application/json', ...(answer.location ? { location: answer.location } : {}) }
    response.writeHead(answer.status, headers).end(answer.body)
  })
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve))
  const jwksUri = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/jwks.json`
  rsa = await createProvider('https://one.example/', 'RS256')
  ec = await createProvider('https://two.example/', 'ES256')
  limited = await createProvider('https://limited.example/', 'ES256')
  listed = await createProvider('https://listed.example/', 'ES256')
  const audience = 'parley-console'
  world = await startWorld({
    services: [registry, desk],
    postgresUrl: inject('postgresUrl'),
    natsUrl: inject('natsUrl'),
    environment: {
      PARLEY_OIDC_ISSUERS: JSON.stringify([
        { issuer: rsa.issuer, audience, jwksUri, algorithms: ['RS256'], linkByEmail: true },
        { issuer: ec.issuer, audience, jwksUri, algorithms: ['ES256'], organizationClaim: 'shop', tokenType: 'at+jwt' },
        {
          issuer: limited.issuer,
          audience,
          jwksUri,
          algorithms: ['ES256'],
          scopes: { 'desk.read': ['messages:read'], 'desk.all': ['*'], profile: ['self'], odd: ['billing:write'] },
          multiFactor: { claim: 'acr', values: ['strong'] },
        },
        {
          issuer: listed.issuer,
          audience,
          jwksUri,
          algorithms: ['ES256'],
          scopes: { 'desk.read': ['messages:read'] },
          scopeClaim: 'scp',
        },
        { issuer: 'https://away.example/', audience, jwksUri: 'http://127.0.0.1:1/jwks.json', algorithms: ['RS256'] },
      ]),
    },
  })
  const { members, outside } = app()
  members.set(`${world.organizationId} ${member.userId}`, member)
  for (const provider of [rsa, ec, limited, listed])
    outside.set(`${provider.issuer} auth0|1`, { userId: member.userId, memberOf: world.organizationId })
})
beforeEach(() => {
  answer = { status: 200, body: JSON.stringify({ keys: [rsa, ec, limited, listed].map(({ publicJwk }) => publicJwk) }) }
})
afterAll(async () => {
  await world?.stop()
  await new Promise((resolve) => jwks?.close(resolve))
})
const call = (token: string, path = '/v1/desk') => world.call('GET', path, { key: token })

test('a token of an issuer whose keys cannot be had is no verdict: 503', async () => {
  const token = await (await createProvider('https://away.example/', 'RS256')).sign()
  expect(await call(token)).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } })
  answer = { status: 500, body: '' }
  expect((await call(await rsa.sign())).status).toBe(503)
  answer = { status: 200, body: `{"keys":[${' '.repeat(300_000)}]}` }
  expect((await call(await rsa.sign())).status).toBe(503)
  answer = { status: 302, body: '', location: 'http://169.254.169.254/' }
  expect((await call(await rsa.sign())).status).toBe(503)
})

describe('a token of another issuer', () => {
  test('is its owner’s, in the organization they last worked for, with what they may do here', async () => {
    expect(await call(await rsa.sign())).toMatchObject({
      status: 200,
      body: { organizationId: world.organizationId, actor: { kind: 'member', id: member.userId } },
    })
    expect((await call(await rsa.sign(), '/v1/who')).body).toMatchObject({ userId: member.userId, sessionId: null })
  })

  test('was proved when its issuer says so, and at no time that anybody knows when it does not', async () => {
    const authTime = nowSeconds() - 3_600
    expect((await call(await rsa.sign({ auth_time: authTime }), '/v1/who')).body.authenticatedAt).toBe(authTime * 1000)
    for (const auth_time of [undefined, 'yesterday'])
      expect((await call(await rsa.sign({ auth_time }), '/v1/who')).body.authenticatedAt).toBeNull()
  })

  test('opens an organization that requires a second factor only when its issuer says there were several', async () => {
    const organizationId = randomUUIDv7()
    app().members.set(`${organizationId} ${member.userId}`, member)
    app().organizations.set(organizationId, { organizationId, status: 'active', requireTwoFactor: true, revision: 1 })
    const shop = organizationId
    for (const amr of [undefined, ['pwd'], 'mfa', [{ method: 'mfa' }]])
      expect(await call(await ec.sign({ shop, amr }))).toMatchObject({
        status: 403,
        body: { error: { details: { reason: 'second_factor_needed' } } },
      })
    expect((await call(await ec.sign({ shop, amr: ['pwd', 'mfa'] }))).status).toBe(200)
  })

  test('of who has a second factor here opens nothing, not even about oneself, unless its issuer says there were several', async () => {
    const shop = world.organizationId
    app().outside.set(`${ec.issuer} guarded`, { userId: member.userId, memberOf: null, hasSecondFactor: true })
    const sub = 'guarded'
    for (const path of ['/v1/desk', '/v1/who'])
      expect(await call(await ec.sign({ shop, sub, amr: ['pwd'] }), path)).toMatchObject({
        status: 403,
        body: { error: { details: { reason: 'second_factor_needed' } } },
      })
    for (const path of ['/v1/desk', '/v1/who'])
      expect((await call(await ec.sign({ shop, sub, amr: ['pwd', 'mfa'] }), path)).status).toBe(200)
  })

  test('says that there were several factors as its issuer does, where the operator wrote it down', async () => {
    app().outside.set(`${limited.issuer} guarded`, {
      userId: member.userId,
      memberOf: world.organizationId,
      hasSecondFactor: true,
    })
    const sign = (acr: unknown) => limited.sign({ sub: 'guarded', scope: 'desk.all', acr })
    for (const acr of [undefined, 'weak', ['strong']]) expect((await call(await sign(acr))).status).toBe(403)
    expect((await call(await sign('strong'))).status).toBe(200)
    // Another issuer's word for it is not this one's.
    app().outside.set(`${ec.issuer} guarded`, { userId: member.userId, memberOf: null, hasSecondFactor: true })
    const shop = world.organizationId
    expect((await call(await ec.sign({ shop, sub: 'guarded', acr: 'strong' }))).status).toBe(403)
  })

  test('opens only what its scopes are worth here, and of that only what its owner may', async () => {
    const refused = { status: 403, body: { error: { details: { reason: 'insufficient_scope' } } } }
    for (const scope of [undefined, '', 'openid profile', 'desk.reads', 'odd', 'constructor', 7])
      expect(await call(await limited.sign({ scope })), String(scope)).toMatchObject(refused)
    for (const scope of ['desk.read', 'openid desk.read', 'desk.all', ['desk.read']])
      expect((await call(await limited.sign({ scope }))).status, String(scope)).toBe(200)
    for (const scope of ['desk.read', undefined])
      expect(await call(await limited.sign({ scope }), '/v1/who')).toMatchObject(refused)

    const who = async (scope: string) => (await call(await limited.sign({ scope }), '/v1/who')).body.permissions
    expect(await who('profile')).toEqual([])
    expect(await who('profile desk.read odd')).toEqual(['messages:read'])
    const all = (await call(await rsa.sign(), '/v1/who')).body.permissions
    expect(await who('desk.all')).toEqual(all)
  })

  test('names its scopes in the claim that the operator wrote down', async () => {
    expect((await call(await listed.sign({ scp: ['desk.read'] }))).status).toBe(200)
    expect((await call(await listed.sign({ scope: 'desk.read' }))).status).toBe(403)
  })

  test('names the organization by the claim that the operator chose, and is refused without it', async () => {
    expect((await call(await ec.sign({ shop: world.organizationId }))).status).toBe(200)
    expect((await call(await ec.sign({ shop: world.otherOrganizationId }))).status).toBe(403)
    expect((await call(await ec.sign())).status).toBe(401)
    expect((await call(await ec.sign({ shop: 'all' }))).status).toBe(401)
  })

  test('of another type than its issuer’s access tokens have is refused, where the operator named one', async () => {
    const shop = world.organizationId
    expect((await call(await ec.sign({ shop }, 'application/at+jwt'))).status).toBe(200)
    expect((await call(await ec.sign({ shop }, 'JWT'))).status).toBe(401)
    expect((await call(await rsa.sign({}, 'JWT'))).status).toBe(200)
  })

  test('does not have its keys fetched again for each call', async () => {
    await call(await rsa.sign())
    const before = fetched
    for (let i = 0; i < 10; i++) expect((await call(await rsa.sign({ jti: String(i) }))).status).toBe(200)
    const unknown = await createProvider(rsa.issuer, 'RS256')
    for (let i = 0; i < 10; i++) expect((await call(await unknown.sign({ jti: String(i) }))).status).toBe(401)
    expect(fetched - before).toBeLessThanOrEqual(1)
  })

  test.each([
    ['for another audience', () => rsa.sign({ aud: 'somebody-else' })],
    ['that has expired', () => rsa.sign({ exp: nowSeconds() - 1 })],
    ['of an issuer that nobody named', () => rsa.sign({ iss: 'https://three.example/' })],
    ['that says it is of the other issuer', () => rsa.sign({ iss: ec.issuer, shop: world.organizationId })],
    ['that says it is ours', () => rsa.sign({ iss: 'parley', aud: 'parley' })],
    ['of somebody unknown here', () => rsa.sign({ sub: 'auth0|2' })],
  ])('%s is refused', async (_what, forge) => {
    expect((await call(await forge())).status).toBe(401)
  })

  test('makes somebody new the person with their address only when the issuer has proved it and may say so', async () => {
    const email = 'ada@shop.example'
    app().outside.set(email, { userId: member.userId, memberOf: world.organizationId })
    expect((await call(await rsa.sign({ sub: 'new-1', email }))).status).toBe(401)
    expect((await call(await rsa.sign({ sub: 'new-2', email, email_verified: 'true' }))).status).toBe(401)
    expect((await call(await rsa.sign({ sub: 'new-3', email, email_verified: true }))).status).toBe(200)
    const shop = world.organizationId
    expect((await call(await ec.sign({ sub: 'new-4', email, email_verified: true, shop }))).status).toBe(401)
  })
})
