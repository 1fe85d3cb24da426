import { Permission } from '@parley/contracts'
import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

let world: World
let people: OrganizationWorld
let organizationId: string
let owner: Person

beforeAll(async () => {
  people = await startOrganizationWorld({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  world = people.world
  ;({ organizationId, owner } = await people.organization())
})
afterAll(async () => {
  await world?.stop()
})

const create = (by: Person, body: Record<string, unknown> = {}) =>
  by.call('POST', '/v1/api-keys', { name: 'key', scopes: ['members:read'], ...body })
async function made(body: Record<string, unknown> = {}, by = owner) {
  const answer = await create(by, body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body as { key: string; keyId: string; lastFour: string }
}
const opens = async (key: string) => (await people.call(key, 'GET', '/v1/members')).status
const on = (by: Person, keyId: string, what: string, body: unknown = {}) => by.call('POST', `/v1/api-keys/${keyId}/${what}`, body)
const recordsOf = async (keyId: string) =>
  (await world.events('accounts', 'api_key.changed')).filter(({ key }) => key === keyId).map(({ data }) => data)

describe('a key', () => {
  test('opens what its scopes say for its organization, and is shown once', async () => {
    const { key, keyId, lastFour } = await made({
      name: 'ERP',
      scopes: ['members:read', 'members:read'],
      perMinute: null,
      perDay: 50,
    })
    expect(key).toMatch(/^ply_live_[0-9A-Za-z]{33}_[0-9A-Za-z]{49}$/)
    expect(key.endsWith(lastFour)).toBe(true)
    const members = await people.call(key, 'GET', '/v1/members')
    expect(members.body.items.map((item: { userId: string }) => item.userId)).toEqual([owner.userId])
    expect((await people.call(key, 'GET', '/v1/organization')).status).toBe(403)
    expect((await people.call(key, 'GET', '/v1/organizations')).status).toBe(403)
    const shown = (await owner.call('GET', `/v1/api-keys/${keyId}`)).body
    expect(shown).toMatchObject({
      name: 'ERP',
      prefix: `ply_live_${keyId}`,
      lastFour,
      scopes: ['members:read'],
      perMinute: null,
      perDay: 50,
      state: 'active',
      createdBy: owner.userId,
      totalRequests: 0,
    })
    const secret = key.slice(`ply_live_${keyId}_`.length)
    const [{ hash }] = (await world.sql(`select hash from accounts.api_keys where key_id = $1`, [keyId])) as [{ hash: string }]
    const everything = JSON.stringify([
      await world.sql(`select * from accounts.api_keys`),
      await world.events('accounts'),
      (await owner.call('GET', '/v1/api-keys')).body,
      shown,
    ])
    expect(everything).not.toContain(secret)
    const audits = JSON.stringify(await world.events('accounts', 'audit.change_recorded'))
    for (const text of [JSON.stringify((await owner.call('GET', '/v1/api-keys')).body), audits]) expect(text).not.toContain(hash)
    expect(await recordsOf(keyId)).toMatchObject([{ hash, status: 'active', perDay: 50, previous: null, revision: 1 }])
  })

  test('has defaults that bound it, and takes no nonsense', async () => {
    expect(await create(owner)).toMatchObject({ status: 201, body: { perMinute: 600, perDay: 100_000, expiresAt: null } })
    const soon = new Date(Date.now() + 60_000).toISOString()
    expect(await create(owner, { expiresAt: soon })).toMatchObject({ status: 201, body: { expiresAt: soon, state: 'active' } })
    for (const wrong of [
      { scopes: [] },
      { scopes: ['*'] },
      { scopes: ['members:*'] },
      { scopes: ['public'] },
      { perMinute: 0 },
      { expiresAt: '2020-01-01T00:00:00.000Z' },
      { expiresAt: '2100-01-01T00:00:00.000Z' },
      { name: '' },
      { keyId: 'a'.repeat(33) },
      { hash: 'x' },
      { organizationId },
      { status: 'active' },
      { createdBy: 'x' },
    ])
      expect((await create(owner, wrong)).status, JSON.stringify(wrong)).toBe(400)
  })

  test('does no more than who made it, changes it or rotates it', async () => {
    const admin = await people.member(organizationId, 'admin')
    expect(await create(admin, { scopes: ['members:read', 'billing:write'] })).toMatchObject({
      status: 403,
      body: { error: { details: { lacking: ['billing:write'] } } },
    })
    const { keyId } = await made({ scopes: ['billing:write', 'members:read'] })
    expect((await on(admin, keyId, 'rotate')).status).toBe(403)
    expect((await admin.call('PATCH', `/v1/api-keys/${keyId}`, { perDay: null })).status).toBe(403)
    const own = await made({}, admin)
    expect((await admin.call('PATCH', `/v1/api-keys/${own.keyId}`, { scopes: ['billing:write'] })).status).toBe(403)
    // Ending a key is no gain for anybody.
    expect((await on(admin, keyId, 'revoke')).status).toBe(200)
    const keeper = await people.member(organizationId, 'viewer', ['api-keys:write', 'api-keys:read'])
    expect((await create(keeper, { scopes: ['members:read'] })).status).toBe(201)
    expect((await create(keeper, { scopes: ['members:write'] })).status).toBe(403)
  })

  test('makes and changes no keys; it renews itself and no other', async () => {
    const scopes: Permission[] = ['api-keys:write', 'api-keys:read', 'members:read']
    const robot = await made({ scopes })
    const other = await made({ scopes: ['members:read'] })
    const as = (method: string, path: string, body: unknown) => people.call(robot.key, method, path, body)
    expect((await as('POST', '/v1/api-keys', { name: 'child', scopes: ['members:read'] })).status).toBe(403)
    expect((await as('PATCH', `/v1/api-keys/${robot.keyId}`, { perMinute: null })).status).toBe(403)
    expect((await as('POST', `/v1/api-keys/${other.keyId}/rotate`, {})).status).toBe(403)
    const renewed = await as('POST', `/v1/api-keys/${robot.keyId}/rotate`, {})
    expect(renewed.status).toBe(200)
    await expect.poll(() => opens(renewed.body.key), { timeout: 5_000 }).toBe(200)
  })

  test('opens under its old secret until the overlap ends', async () => {
    const first = await made()
    expect(await opens(first.key)).toBe(200)
    const second = await on(owner, first.keyId, 'rotate')
    expect(second.body).toMatchObject({ keyId: first.keyId, revision: 2 })
    expect(Date.parse(second.body.previousUntil) - Date.now()).toBeGreaterThan(23.9 * 3_600_000)
    await expect.poll(() => opens(second.body.key), { timeout: 5_000 }).toBe(200)
    expect(await opens(first.key)).toBe(200)
    // Once more without an overlap: of three secrets one is left.
    const third = await on(owner, first.keyId, 'rotate', { overlapHours: 0 })
    expect(third.body.previousUntil).toBeNull()
    await expect.poll(() => opens(second.body.key), { timeout: 5_000 }).toBe(401)
    expect(await opens(first.key)).toBe(401)
    expect(await opens(third.body.key)).toBe(200)
    expect(await recordsOf(first.keyId)).toMatchObject([
      { revision: 1, previous: null },
      { revision: 2, previous: { until: second.body.previousUntil } },
      { revision: 3, previous: null },
    ])
    expect((await on(owner, first.keyId, 'rotate', { overlapHours: 24 * 8 })).status).toBe(400)
  })

  test('of two rotations at once loses no secret but the one that both replaced', async () => {
    const first = await made()
    const answers = await Promise.all([on(owner, first.keyId, 'rotate'), on(owner, first.keyId, 'rotate')])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect((await recordsOf(first.keyId)).map((data) => (data as { revision: number }).revision)).toEqual([1, 2, 3])
    for (const { body } of answers) await expect.poll(() => opens(body.key), { timeout: 5_000 }).toBe(200)
  })

  test('is changed in name, scopes and limits, and refused once it is revoked', async () => {
    const { key, keyId } = await made()
    const change = { name: 'CRM', scopes: ['organization:read'], perMinute: 10, perDay: null }
    expect((await owner.call('PATCH', `/v1/api-keys/${keyId}`, change)).body).toMatchObject({ ...change, revision: 2 })
    await expect.poll(() => opens(key), { timeout: 5_000 }).toBe(403)
    const revoked = await on(owner, keyId, 'revoke', { reason: 'leaked' })
    expect(revoked.body).toMatchObject({ state: 'revoked', revokedBy: owner.userId, previousUntil: null })
    await expect.poll(() => opens(key), { timeout: 5_000 }).toBe(401)
    expect((await on(owner, keyId, 'revoke')).body).toEqual(revoked.body)
    expect((await on(owner, keyId, 'rotate')).status).toBe(409)
    expect((await owner.call('PATCH', `/v1/api-keys/${keyId}`, { name: 'x' })).status).toBe(409)
    const audits = (await world.events('accounts', 'audit.change_recorded')).map(({ data }) => data as Record<string, unknown>)
    expect(audits.filter((data) => data['resourceId'] === keyId)).toMatchObject([
      { before: null, after: { name: 'key' } },
      { before: { name: 'key', scopes: ['members:read'] }, after: { name: 'CRM', scopes: ['organization:read'] } },
      { before: { status: 'active' }, after: { status: 'revoked' }, reason: 'leaked' },
    ])
  })

  test('is revoked once, however many ask at the same moment', async () => {
    const { keyId } = await made()
    const answers = await Promise.all(Array.from({ length: 8 }, () => on(owner, keyId, 'revoke')))
    expect(answers.map(({ body }) => body.revision)).toEqual(answers.map(() => 2))
    expect(await recordsOf(keyId)).toHaveLength(2)
  })

  test('is nobody’s of another organization', async () => {
    const { keyId } = await made()
    const other = await people.organization('Other')
    expect((await other.owner.call('GET', `/v1/api-keys/${keyId}`)).status).toBe(404)
    expect((await other.owner.call('PATCH', `/v1/api-keys/${keyId}`, { name: 'x' })).status).toBe(404)
    for (const what of ['rotate', 'revoke']) expect((await on(other.owner, keyId, what)).status).toBe(404)
    expect((await other.owner.call('GET', '/v1/api-keys')).body).toMatchObject({ total: 0 })
  })

  test('is ended with the member who made it when that is asked for', async () => {
    const admin = await people.member(organizationId, 'admin')
    const kept = await made({}, admin)
    const stays = await made()
    const one = await people.member(organizationId, 'admin')
    const ended = await made({}, one)
    expect((await owner.call('DELETE', `/v1/members/${admin.userId}`)).body).toMatchObject({ openKeys: 1, revokedKeys: 0 })
    expect(await opens(kept.key)).toBe(200)
    const removed = await owner.call('DELETE', `/v1/members/${one.userId}?revokeKeys=true`)
    expect(removed.body).toMatchObject({ openKeys: 0, revokedKeys: 1 })
    await expect.poll(() => opens(ended.key), { timeout: 5_000 }).toBe(401)
    expect(await opens(stays.key)).toBe(200)
  })

  test('is one of a hundred at most', async () => {
    const { organizationId: id, owner: crowded } = await people.organization('Crowded')
    await world.sql(
      `insert into accounts.api_keys (organization_id, key_id, name, last_four, hash, scopes, created_by)
       select $1, 'k' || lpad(n::text, 32, '0'), 'x', 'xxxx', repeat('0', 64), '{}', 'test' from generate_series(1, 99) n`,
      [id],
    )
    const answers = await Promise.all(Array.from({ length: 4 }, () => create(crowded)))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409, 409])
  })
})
