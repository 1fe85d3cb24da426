import { askKey, askKeysUsed, askMember, askOutside, askSigningKeys } from '@parley/runtime'
import type { World } from '@parley/runtime/testing'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { randomUUIDv7 } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

const audience = 'parley'
const issuer = 'https://issuer.example/'
/** One whose addresses link nobody. */
const aloof = 'https://aloof.example/'
let issuerKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
let jwks: Server
let world: World
let people: OrganizationWorld
let organizationId: string
let owner: Person

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  issuerKey = privateKey
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] })
  jwks = createServer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(keys))
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve))
  const jwksUri = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/jwks.json`
  const known = { audience, jwksUri, algorithms: ['ES256'] }
  people = await startOrganizationWorld(
    { postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') },
    {
      PARLEY_OIDC_ISSUERS: JSON.stringify([
        { issuer, linkByEmail: true, ...known },
        { issuer: aloof, ...known },
      ]),
    },
  )
  world = people.world
  ;({ organizationId, owner } = await people.organization())
})
afterAll(async () => {
  await world?.stop()
  jwks?.close()
})

const ask: World['running']['bus']['ask'] = (...question) => world.running.bus.ask(...question)
const newKey = async () =>
  (await owner.call('POST', '/v1/api-keys', { name: 'key', scopes: ['members:read'] })).body as { keyId: string }
const useOf = async (keyId: string) =>
  (
    await world.sql<{ used: Date | null; total: string; revision: number }>(
      `select last_used_at as used, total_requests as total, revision from accounts.api_keys where key_id = $1`,
      [keyId],
    )
  )[0]

describe('a service that has not heard of', () => {
  test('a member is told the whole membership, and of a stranger that there is none', async () => {
    const { userId } = owner
    expect(await ask(askMember.topic, { organizationId, userId }, askMember.reply)).toMatchObject({
      userId,
      role: 'owner',
      status: 'active',
    })
    expect(await ask(askMember.topic, { organizationId, userId: randomUUIDv7() }, askMember.reply)).toBeNull()
    const { organizationId: elsewhere } = await people.organization('Elsewhere')
    expect(await ask(askMember.topic, { organizationId: elsewhere, userId }, askMember.reply)).toBeNull()
  })

  test('a key is told what its events say, and nothing that opens it', async () => {
    const { keyId } = await newKey()
    const told = await ask(askKey.topic, { organizationId, keyId }, askKey.reply)
    const stated = (await world.events('accounts', 'api_key.changed')).find(({ key }) => key === keyId)
    expect(told).toEqual(stated?.data)
    const { organizationId: elsewhere } = await people.organization('Elsewhere')
    expect(await ask(askKey.topic, { organizationId: elsewhere, keyId }, askKey.reply)).toBeNull()
  })

  test('a signing key is told all that are trusted, and no private part', async () => {
    const told = await ask(askSigningKeys.topic, {}, askSigningKeys.reply)
    const kept = await world.sql<{ kid: string; x: string }>('select kid, x from accounts.signing_keys')
    expect(told.map(({ kid, x }) => ({ kid, x }))).toEqual(kept)
    expect(Object.keys(told[0] ?? {}).toSorted()).toEqual(['kid', 'trustedUntil', 'x'])
  })

  test('what is no question is refused, and answered by nobody by accident', async () => {
    await expect(ask(askMember.topic, { organizationId: "'; drop" }, askMember.reply)).rejects.toMatchObject({
      code: 'unavailable',
    })
    await expect(ask('identity.passwords', {}, askMember.reply)).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('the use of keys', () => {
  test('is added up over reports and organizations, and is no new revision', async () => {
    const [mine, quiet] = [await newKey(), await newKey()]
    const other = await people.organization('Other')
    const theirs = (await other.owner.call('POST', '/v1/api-keys', { name: 'key', scopes: ['members:read'] })).body as {
      keyId: string
    }
    const [early, late] = ['2026-01-01T10:00:00.000Z', '2026-01-01T11:00:00.000Z']
    const report = (uses: unknown[]) => ask(askKeysUsed.topic, { uses }, askKeysUsed.reply)
    await report([
      { organizationId, keyId: mine.keyId, requests: 3, lastUsedAt: late },
      { organizationId: other.organizationId, keyId: theirs.keyId, requests: 5, lastUsedAt: early },
      // A key of one organization under the name of another changes nobody's figures.
      { organizationId: other.organizationId, keyId: quiet.keyId, requests: 9, lastUsedAt: late },
    ])
    await report([{ organizationId, keyId: mine.keyId, requests: 4, lastUsedAt: early }])
    expect(await useOf(mine.keyId)).toEqual({ used: new Date(late), total: '7', revision: 1 })
    expect(await useOf(theirs.keyId)).toEqual({ used: new Date(early), total: '5', revision: 1 })
    expect(await useOf(quiet.keyId)).toEqual({ used: null, total: '0', revision: 1 })
  })

  test('is counted once however often a report comes, and is use of its month', async () => {
    const key = await newKey()
    const calls = async () => (await owner.call('GET', '/v1/usage')).body.calls.apiCalls as number
    const before = await calls()
    const lastUsedAt = new Date().toISOString()
    const use = { organizationId, keyId: key.keyId, lastUsedAt }
    const report = (uses: unknown[]) => ask(askKeysUsed.topic, { uses }, askKeysUsed.reply)
    const first = { ...use, requests: 3, reportId: randomUUIDv7() }
    await report([first])
    await report([first, { ...use, requests: 4, reportId: randomUUIDv7() }])
    expect(await useOf(key.keyId)).toEqual({ used: new Date(lastUsedAt), total: '7', revision: 1 })
    expect(await calls()).toBe(before + 7)
    const { body } = await owner.call('GET', '/v1/usage/logs?type=api_call&limit=2')
    const mine = body.items.filter((item: { keyId: string }) => item.keyId === key.keyId)
    expect(mine.map(({ quantity }: { quantity: number }) => quantity).toSorted()).toEqual([3, 4])
  })
})

describe('somebody of another issuer', () => {
  const tokenOf = (claims: Record<string, unknown>, key = issuerKey) =>
    new SignJWT({ iss: issuer, aud: audience, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuedAt()
      .setExpirationTime(claims['exp'] === undefined ? '5m' : Number(claims['exp']))
      .sign(key)
  const whose = (token: string) => ask(askOutside.topic, { token }, askOutside.reply)
  const who = async (sub: string, email: string | null = null) =>
    whose(await tokenOf(email === null ? { sub } : { sub, email, email_verified: true }))

  test('is named by the issuer’s signature and by nothing that a service says', async () => {
    const email = owner.email
    const { privateKey } = await generateKeyPair('ES256')
    const mine = { sub: '9', email, email_verified: true }
    for (const token of [
      await tokenOf(mine, privateKey),
      await tokenOf({ ...mine, iss: 'https://unknown.example/' }),
      await tokenOf({ ...mine, aud: 'another' }),
      await tokenOf({ ...mine, exp: Math.floor(Date.now() / 1000) - 600 }),
      await tokenOf({ ...mine, email_verified: false }),
      // Of an issuer whose addresses the operator does not go by.
      await tokenOf({ ...mine, iss: aloof }),
      owner.token,
      'no.token.atall',
    ])
      expect(await whose(token)).toBeNull()
    await expect(ask(askOutside.topic, { issuer, subject: '9', email }, askOutside.reply)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(await world.sql(`select 1 from accounts.outside_identities where subject = '9'`)).toEqual([])
  })

  test('is nobody here until they are somebody', async () => {
    expect(await who('1')).toBeNull()
    expect(await who('1', 'nobody@example.com')).toBeNull()
  })

  test('becomes the person with the same proved address, stays that person, and the log says so', async () => {
    const person = { userId: owner.userId, memberOf: organizationId, hasSecondFactor: false }
    expect(await who('2', owner.email.toUpperCase())).toEqual(person)
    expect(await who('2')).toEqual(person)
    const second = await people.organization('Second')
    expect(await who('2', second.owner.email)).toMatchObject({ userId: owner.userId })
    const entries = (await world.events('accounts', 'audit.change_recorded')).map(
      ({ data }) => data as { resourceType: string; resourceId: string },
    )
    expect(entries).toContainEqual(expect.objectContaining({ resourceType: 'outside_identity', resourceId: owner.userId }))
  })

  test('is told to have a second factor here from when it is confirmed, not when it was only begun', async () => {
    const person = await people.person('careful')
    expect((await who('5', person.email))?.hasSecondFactor).toBe(false)
    await world.sql(`update accounts.users set sealed_totp = 'begun' where user_id = $1`, [person.userId])
    expect((await who('5'))?.hasSecondFactor).toBe(false)
    await world.sql(`update accounts.users set totp_confirmed_at = now() where user_id = $1`, [person.userId])
    expect((await who('5'))?.hasSecondFactor).toBe(true)
  })

  test('does not become a person whose address nobody proved, nor one who is suspended', async () => {
    const typed = await people.person('typed', { verified: false })
    expect(await who('3', typed.email)).toBeNull()
    const suspended = await people.person('suspended')
    await world.sql(`update accounts.users set status = 'suspended' where user_id = $1`, [suspended.userId])
    expect(await who('4', suspended.email)).toBeNull()
  })
})
