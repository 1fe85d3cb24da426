import { Permission, permissionsOf, Role } from '@parley/contracts'
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

const change = (by: Person, of: Person, body: unknown) => by.call('PATCH', `/v1/members/${of.userId}`, body)
const remove = (by: Person, of: Person, query = '') => by.call('DELETE', `/v1/members/${of.userId}${query}`)
const eventsOf = async (type: string, userId: string) =>
  (await world.events('accounts', type)).filter((event) => event.key === userId).map((event) => event.data)
const stored = async (userId: string, of = organizationId) =>
  (
    await world.sql(
      `select role, permissions, status, revision from accounts.members where organization_id = $1 and user_id = $2`,
      [of, userId],
    )
  )[0]

describe('a member', () => {
  test('is listed with what they are called and all that they may', async () => {
    const support = await people.member(organizationId, 'support', ['audit:read'])
    const { body: list } = await owner.call('GET', '/v1/members?limit=100')
    const shown = list.items.find((item: { userId: string }) => item.userId === support.userId)
    expect(shown).toMatchObject({
      email: support.email,
      displayName: 'support',
      role: 'support',
      permissions: ['audit:read'],
      allowed: [...permissionsOf('support', ['audit:read'])].sort(),
      status: 'active',
      twoFactorEnabled: false,
    })
    expect((await owner.call('GET', `/v1/members/${support.userId}`)).body).toEqual(shown)
    expect((await owner.call('GET', '/v1/members?role=owner')).body).toMatchObject({
      total: 1,
      items: [{ userId: owner.userId }],
    })
    expect((await owner.call('GET', '/v1/members?limit=1000')).status).toBe(400)
    expect((await owner.call('GET', '/v1/members?page=-1')).status).toBe(400)
  })

  test('of another organization is nobody here', async () => {
    const other = await people.organization('Other')
    for (const [method, body] of [['GET'], ['PATCH', { role: 'viewer' }], ['DELETE']] as const)
      expect((await owner.call(method, `/v1/members/${other.owner.userId}`, body)).status, method).toBe(404)
    expect(await stored(other.owner.userId, other.organizationId)).toMatchObject({ role: 'owner', status: 'active', revision: 1 })
  })

  test('is changed by who may, under the next revision, with before and after in the log', async () => {
    const member = await people.member(organizationId, 'viewer')
    const body = { role: 'manager', permissions: ['webhook-sources:write'], reason: 'promoted' }
    expect(await change(owner, member, body)).toMatchObject({ status: 200, body: { role: 'manager', revision: 2 } })
    expect(await eventsOf('member.changed', member.userId)).toEqual([
      { userId: member.userId, role: 'manager', permissions: ['webhook-sources:write'], status: 'active', revision: 2 },
    ])
    const audits = (await world.events('accounts', 'audit.change_recorded')).map(({ data }) => data as Record<string, unknown>)
    expect(audits.findLast((data) => data['resourceId'] === member.userId)).toMatchObject({
      actor: { kind: 'member', id: owner.userId },
      before: { role: 'viewer', permissions: [], status: 'active' },
      after: { role: 'manager', permissions: ['webhook-sources:write'], status: 'active' },
      reason: 'promoted',
    })
    expect((await change(owner, member, body)).body.revision).toBe(2)
    expect(await eventsOf('member.changed', member.userId)).toHaveLength(1)
  })

  test('takes no field of another kind (A25)', async () => {
    const member = await people.member(organizationId, 'viewer')
    for (const field of ['organizationId', 'organization_id', 'userId', 'revision', 'email', 'invitedBy'])
      expect((await change(owner, member, { role: 'support', [field]: owner.userId })).status, field).toBe(400)
    for (const wrong of [{}, { reason: 'x' }, { role: 'god' }, { permissions: ['everything:write'] }, { status: 'removed' }])
      expect((await change(owner, member, wrong)).status, JSON.stringify(wrong)).toBe(400)
    expect(await stored(member.userId)).toMatchObject({ role: 'viewer', revision: 1 })
  })

  test('who was suspended or removed is let in nowhere, though their token still lives', async () => {
    const member = await people.member(organizationId, 'support')
    expect((await member.call('GET', '/v1/members')).status).toBe(200)
    await change(owner, member, { status: 'suspended' })
    await expect.poll(async () => (await member.call('GET', '/v1/members')).status, { timeout: 5_000 }).toBe(403)
    expect((await member.call('GET', '/v1/organizations')).body.items).toMatchObject([{ status: 'suspended' }])
    await change(owner, member, { status: 'active' })
    await expect.poll(async () => (await member.call('GET', '/v1/members')).status, { timeout: 5_000 }).toBe(200)
    expect(await remove(owner, member)).toMatchObject({ status: 200, body: { member: { status: 'removed', allowed: [] } } })
    await expect.poll(async () => (await member.call('GET', '/v1/members')).status, { timeout: 5_000 }).toBe(403)
    expect((await member.call('GET', '/v1/organizations')).body.items).toEqual([])
    expect(await eventsOf('member.removed', member.userId)).toMatchObject([{ status: 'removed', revision: 4 }])
    expect((await change(owner, member, { status: 'active' })).status).toBe(409)
    const listed = (await owner.call('GET', '/v1/members?limit=100')).body.items
    expect(listed.map((item: { userId: string }) => item.userId)).not.toContain(member.userId)
    expect((await owner.call('GET', '/v1/members?status=removed')).body.items).toMatchObject([{ userId: member.userId }])
  })
})

describe('nobody gets more than they have', () => {
  test('roles below admin manage nobody, whatever the route (A26)', async () => {
    const target = await people.member(organizationId, 'viewer')
    for (const role of ['viewer', 'support', 'product_editor', 'manager'] as const) {
      const by = await people.member(organizationId, role)
      for (const [method, path, body] of [
        ['PATCH', `/v1/members/${target.userId}`, { role: 'owner' }],
        ['DELETE', `/v1/members/${target.userId}`, undefined],
        ['POST', '/v1/invitations', { email: 'x@example.com', role: 'owner' }],
        ['POST', '/v1/api-keys', { name: 'x', scopes: ['ops:write'] }],
        ['PATCH', '/v1/organization', { name: 'x' }],
        ['POST', '/v1/organization/transfer-ownership', { userId: by.userId }],
        ['PUT', '/v1/onboarding/steps/ai', { done: true }],
      ] as const)
        expect((await by.call(method, path, body)).status, `${role} ${method} ${path}`).toBe(403)
    }
    expect(await stored(target.userId)).toMatchObject({ role: 'viewer', status: 'active', revision: 1 })
  })

  test('members:write as an extra permission makes nobody an admin', async () => {
    const target = await people.member(organizationId, 'viewer')
    const by = await people.member(organizationId, 'manager', ['members:write'])
    for (const body of [{ role: 'admin' }, { role: 'support' }, { permissions: ['ops:write'] }, { status: 'suspended' }])
      expect((await change(by, target, body)).status, JSON.stringify(body)).toBe(403)
    expect((await by.call('POST', '/v1/invitations', { email: 'x@example.com', role: 'viewer' })).status).toBe(403)
  })

  test('an admin makes no owner, touches no owner, and gives no permission that they lack', async () => {
    const admin = await people.member(organizationId, 'admin')
    const target = await people.member(organizationId, 'support')
    expect((await change(admin, target, { role: 'owner' })).status).toBe(403)
    expect((await change(admin, owner, { role: 'viewer' })).status).toBe(403)
    expect((await remove(admin, owner)).status).toBe(403)
    expect(await change(admin, target, { permissions: ['billing:write'] })).toMatchObject({
      status: 403,
      body: { error: { details: { lacking: ['billing:write'] } } },
    })
    expect((await change(admin, target, { role: 'admin', permissions: ['ops:write'] })).status).toBe(200)
  })

  test('nobody changes their own membership', async () => {
    const admin = await people.member(organizationId, 'admin')
    for (const body of [{ role: 'owner' }, { role: 'viewer' }, { permissions: ['billing:write'] }, { status: 'suspended' }])
      expect((await change(admin, admin, body)).status, JSON.stringify(body)).toBe(403)
    expect((await remove(admin, admin)).status).toBe(403)
    expect((await change(owner, owner, { permissions: [...Permission.options] })).status).toBe(403)
  })

  test('an API key with members:write makes no admin and no role above its scopes', async () => {
    const scopes = ['members:write', 'members:read', 'agents:read', 'organization:read', 'products:read', 'products:write']
    const { body } = await owner.call('POST', '/v1/api-keys', { name: 'members', scopes })
    const target = await people.member(organizationId, 'viewer')
    const patch = (wanted: unknown) => world.call('PATCH', `/v1/members/${target.userId}`, { key: body.key, body: wanted })
    expect((await patch({ role: 'owner' })).status).toBe(403)
    expect((await patch({ role: 'admin' })).status).toBe(403)
    // A viewer may more than this key, so it cannot touch one.
    expect((await patch({ role: 'product_editor' })).status).toBe(403)
    expect(await stored(target.userId)).toMatchObject({ role: 'viewer', revision: 1 })
  })

  test('a demotion counts at once, also for a call that was let in before it', async () => {
    const admin = await people.member(organizationId, 'admin')
    const target = await people.member(organizationId, 'viewer')
    // Known to the door as an admin for the next two seconds; the transaction looks for itself.
    expect((await admin.call('GET', '/v1/members')).status).toBe(200)
    await change(owner, admin, { role: 'viewer' })
    expect((await change(admin, target, { role: 'support' })).status).toBe(403)
    expect(await stored(target.userId)).toMatchObject({ role: 'viewer', revision: 1 })
  })
})

describe('an organization keeps an owner', () => {
  test('the last one cannot leave, be demoted, suspended or removed', async () => {
    const { organizationId: id, owner: only } = await people.organization('One owner')
    const admin = await people.member(id, 'admin')
    expect((await only.call('POST', '/v1/organization/leave', {})).status).toBe(409)
    expect((await change(admin, only, { status: 'suspended' })).status).toBe(403)
    expect(await stored(only.userId, id)).toMatchObject({ role: 'owner', status: 'active', revision: 1 })
    expect((await admin.call('POST', '/v1/organization/leave', {})).body).toEqual({ left: id })
    expect(await stored(admin.userId, id)).toMatchObject({ status: 'removed' })
  })

  test('of two who demote or leave each other at the same moment, one stays', async () => {
    for (let round = 0; round < 8; round++) {
      const { organizationId: id, owner: one } = await people.organization('Two owners')
      const two = await people.member(id, 'owner')
      const answers = await Promise.all(
        round % 2 === 0
          ? [change(one, two, { role: 'viewer' }), change(two, one, { status: 'suspended' })]
          : [one.call('POST', '/v1/organization/leave', {}), two.call('POST', '/v1/organization/leave', {})],
      )
      const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
      expect(statuses[0]).toBe(200)
      expect([403, 409]).toContain(statuses[1])
      const owners = await world.sql(
        `select user_id from accounts.members where organization_id = $1 and role = 'owner' and status = 'active'`,
        [id],
      )
      expect(owners).toHaveLength(1)
    }
  })

  test('hands it over only soon after signing in, to an active member, and is an admin then', async () => {
    const { organizationId: id, owner: old } = await people.organization('Handed over')
    const heir = await people.member(id, 'support')
    const gone = await people.member(id, 'viewer')
    await remove(old, gone)
    const longAgo = await people.actingIn(old, id, new Date(Date.now() - 16 * 60_000))
    const transfer = (by: Person, to: Person) => by.call('POST', '/v1/organization/transfer-ownership', { userId: to.userId })
    expect(await transfer(longAgo, heir)).toMatchObject({
      status: 403,
      body: { error: { details: { reason: 'sign_in_again' } } },
    })
    expect((await transfer(old, gone)).status).toBe(404)
    expect((await transfer(old, old)).status).toBe(409)
    const admin = await people.member(id, 'admin')
    expect((await transfer(admin, admin)).status).toBe(409)
    expect((await transfer(admin, heir)).status).toBe(403)
    expect(await transfer(old, heir)).toMatchObject({
      status: 200,
      body: { owner: { userId: heir.userId, role: 'owner' }, you: { userId: old.userId, role: 'admin' } },
    })
    expect((await transfer(old, heir)).status).toBe(403)
    expect(await eventsOf('member.changed', heir.userId)).toMatchObject([{ role: 'owner' }])
  })
})

test('every role sees exactly what the permission table gives it', async () => {
  for (const role of Role.options) {
    const by = await people.member(organizationId, role)
    const may = permissionsOf(role, [])
    for (const [path, needed] of [
      ['/v1/organization', 'organization:read'],
      ['/v1/members', 'members:read'],
      ['/v1/invitations', 'members:read'],
      ['/v1/api-keys', 'api-keys:read'],
    ] as const)
      expect((await by.call('GET', path)).status, `${role} ${path}`).toBe(may.has(needed) ? 200 : 403)
  }
})
