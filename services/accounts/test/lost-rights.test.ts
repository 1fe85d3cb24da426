import { Permission } from '@parley/contracts'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

let people: OrganizationWorld
beforeAll(async () => {
  people = await startOrganizationWorld({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
})
afterAll(async () => {
  await people?.world.stop()
})

const soon = { timeout: 10_000, interval: 100 }
async function keyOf(maker: Person, scopes: readonly Permission[]) {
  const { status, body } = await maker.call('POST', '/v1/api-keys', { name: 'till', scopes })
  expect(status, JSON.stringify(body)).toBe(201)
  const { key, keyId } = body as { key: string; keyId: string }
  return { keyId, call: (method: string, path: string, wanted?: unknown) => people.call(key, method, path, wanted) }
}

async function invited(by: Pick<Person, 'call'>, body: { role: string; permissions?: readonly string[] }) {
  const guest = await people.person('guest')
  const answer = await by.call('POST', '/v1/invitations', { email: guest.email, ...body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  await expect.poll(async () => (await people.mailTo(guest.email)).length, soon).toBe(1)
  const [mail] = await people.mailTo(guest.email)
  const token = /#token=([\w-]+)/.exec(mail?.text ?? '')?.[1] ?? ''
  const person = await people.actingIn(guest, null)
  return { userId: guest.userId, accept: () => person.call('POST', '/v1/invitations/accept', { token }) }
}

describe('a key', () => {
  test('may do no more than its maker may now', async () => {
    const { organizationId, owner } = await people.organization()
    const admin = await people.member(organizationId, 'admin')
    const key = await keyOf(admin, ['members:read', 'organization:write'])
    const mayRead = async () => (await key.call('GET', '/v1/members')).status
    const mayWrite = async () => (await key.call('PATCH', '/v1/organization', { contactName: 'Zoé' })).status
    expect([await mayRead(), await mayWrite()]).toEqual([200, 200])
    expect((await owner.call('PATCH', `/v1/members/${admin.userId}`, { role: 'viewer' })).status).toBe(200)
    await expect.poll(mayWrite, soon).toBe(403)
    expect(await mayRead()).toBe(200)
    expect((await owner.call('PATCH', `/v1/members/${admin.userId}`, { status: 'suspended' })).status).toBe(200)
    await expect.poll(mayRead, soon).toBe(403)
  })

  test('opens nothing once its maker left, until another member adopts it', async () => {
    const { organizationId, owner } = await people.organization()
    const admin = await people.member(organizationId, 'admin')
    const key = await keyOf(admin, ['members:read'])
    expect((await key.call('GET', '/v1/members')).status).toBe(200)
    expect((await admin.call('POST', '/v1/organization/leave', {})).status).toBe(200)
    await expect.poll(async () => (await key.call('GET', '/v1/members')).status, soon).toBe(403)
    expect((await key.call('POST', `/v1/api-keys/${key.keyId}/adopt`, {})).status).toBe(403)
    expect(await owner.call('POST', `/v1/api-keys/${key.keyId}/adopt`, {})).toMatchObject({
      status: 200,
      body: { makerId: owner.userId },
    })
    await expect.poll(async () => (await key.call('GET', '/v1/members')).status, soon).toBe(200)
  })

  test('changes nothing about its maker’s own membership, and invites nobody whom its maker could not', async () => {
    const { organizationId, owner } = await people.organization()
    const admin = await people.member(organizationId, 'admin')
    const key = await keyOf(
      admin,
      [...Permission.options].filter((permission) => permission !== 'billing:write'),
    )
    for (const body of [{ permissions: ['ops:write'] }, { role: 'viewer' }, { status: 'suspended' }])
      expect((await key.call('PATCH', `/v1/members/${admin.userId}`, body)).status, JSON.stringify(body)).toBe(403)
    // Who may manage members by an extra permission only, may not by a key either.
    const viewer = await people.member(organizationId, 'viewer', ['members:write', 'api-keys:write'])
    const through = await keyOf(viewer, ['members:write', 'members:read'])
    const target = await people.member(organizationId, 'viewer')
    for (const by of [viewer, through]) {
      expect((await by.call('PATCH', `/v1/members/${target.userId}`, { status: 'suspended' })).status).toBe(403)
      expect((await by.call('POST', '/v1/invitations', { email: 'x@example.com', role: 'viewer' })).status).toBe(403)
    }
    expect((await owner.call('GET', `/v1/members/${admin.userId}`)).body).toMatchObject({ role: 'admin', status: 'active' })
  })
})

describe('an invitation', () => {
  test('of an owner is worth nothing once they handed ownership over', async () => {
    const { organizationId, owner } = await people.organization()
    const buyer = await people.member(organizationId, 'admin')
    const { accept } = await invited(owner, { role: 'owner' })
    const fresh = await people.actingIn(owner, organizationId)
    expect((await fresh.call('POST', '/v1/organization/transfer-ownership', { userId: buyer.userId })).status).toBe(200)
    expect((await accept()).status).toBe(410)
  })

  test.each([
    ['lost the permission that it gives', { permissions: [] }],
    ['lost the role that may invite', { role: 'viewer', permissions: ['ops:write'] }],
    ['is suspended', { status: 'suspended' }],
  ])('is withdrawn when who gave it %s', async (_why, change) => {
    const { organizationId, owner } = await people.organization()
    const admin = await people.member(organizationId, 'admin', ['billing:write'])
    const { accept } = await invited(admin, { role: 'support', permissions: ['billing:write'] })
    expect((await owner.call('PATCH', `/v1/members/${admin.userId}`, change)).status).toBe(200)
    expect((await accept()).status).toBe(410)
  })

  test('is accepted as long as who gave it may give it', async () => {
    const { organizationId } = await people.organization()
    const admin = await people.member(organizationId, 'admin')
    const { accept } = await invited(admin, { role: 'support', permissions: ['billing:read'] })
    expect((await accept()).status).toBe(200)
  })
})
