import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

let world: World
let people: OrganizationWorld
let organizationId: string
let owner: Person

beforeAll(async () => {
  people = await startOrganizationWorld({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  world = people.world
})
beforeEach(async () => {
  ;({ organizationId, owner } = await people.organization('Maison Zoé', { locale: 'fr-FR' }))
})
afterAll(async () => {
  await world?.stop()
})

/** Invites a person who exists but is in no organization; with their link's token out of the mail. */
async function invited(body: Record<string, unknown> = { role: 'support' }, by = owner) {
  const guest = await people.person('guest')
  const answer = await by.call('POST', '/v1/invitations', { email: guest.email, ...body })
  expect(answer).toMatchObject({ status: 201, body: { email: guest.email, status: 'pending', sentCount: 1 } })
  return {
    invitationId: answer.body.invitationId as string,
    token: await tokenTo(guest.email),
    guest: await people.actingIn(guest, null),
  }
}
const tokenTo = async (email: string) => /#token=(\S+)/.exec((await people.mailTo(email))[0]?.text ?? '')?.[1] as string
const accept = (by: Person, token: string) => by.call('POST', '/v1/invitations/accept', { token })
const age = (invitationId: string, interval: string) =>
  world.sql(
    `update accounts.invitations set expires_at = expires_at - $2::interval, last_sent_at = last_sent_at - $2::interval where invitation_id = $1`,
    [invitationId, interval],
  )

describe('an invitation', () => {
  test('makes the person with that address a member, with what it says, once', async () => {
    const { guest, token, invitationId } = await invited({ role: 'manager', permissions: ['usage:read', 'receipts:write'] })
    expect(await accept(guest, token)).toMatchObject({
      status: 200,
      body: { organizationId, role: 'manager', permissions: ['receipts:write', 'usage:read'] },
    })
    const joined = (await world.events('accounts', 'member.joined')).filter(({ key }) => key === guest.userId)
    expect(joined).toMatchObject([{ organizationId, data: { role: 'manager', status: 'active', revision: 1 } }])
    expect((await guest.call('GET', '/v1/organizations')).body.items).toMatchObject([{ organizationId, role: 'manager' }])
    const here = await people.actingIn(guest, organizationId)
    expect((await here.call('GET', '/v1/members')).status).toBe(200)
    expect((await accept(guest, token)).status).toBe(409)
    expect((await owner.call('GET', '/v1/invitations')).body.items).toMatchObject([
      { invitationId, status: 'accepted', acceptedBy: guest.userId, invitedBy: owner.userId },
    ])
  })

  test('is accepted once by fifty calls at the same moment', async () => {
    const { guest, token } = await invited()
    const answers = await Promise.all(Array.from({ length: 50 }, () => accept(guest, token)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49)
    expect((await world.events('accounts', 'member.joined')).filter(({ key }) => key === guest.userId)).toHaveLength(1)
  })

  test('is refused to another person, also after it was used, and to an unproved address (A26)', async () => {
    const { guest, token } = await invited()
    const thief = await people.actingIn(await people.person('thief'), null)
    expect((await accept(thief, token)).status).toBe(403)
    expect((await accept(owner, token)).status).toBe(403)
    await world.sql(`update accounts.users set email_verified_at = null where user_id = $1`, [guest.userId])
    expect((await accept(guest, token)).status).toBe(403)
    await world.sql(`update accounts.users set email_verified_at = now() where user_id = $1`, [guest.userId])
    expect((await accept(guest, token)).status).toBe(200)
    expect((await accept(thief, token)).status).toBe(403)
    expect((await people.call(null, 'POST', '/v1/invitations/accept', { token })).status).toBe(401)
    expect((await people.call(undefined, 'POST', '/v1/invitations/accept', { token })).status).toBe(403)
  })

  test('is gone when it has run out, and lives again when it is sent again', async () => {
    const { guest, token, invitationId } = await invited()
    await age(invitationId, '7 days')
    expect((await accept(guest, token)).status).toBe(410)
    expect((await owner.call('GET', '/v1/invitations?status=expired')).body).toMatchObject({
      total: 1,
      items: [{ status: 'expired' }],
    })
    expect((await owner.call('GET', '/v1/invitations?status=pending')).body.total).toBe(0)
    const resent = await owner.call('POST', `/v1/invitations/${invitationId}/resend`, {})
    expect(resent).toMatchObject({ status: 200, body: { status: 'pending', sentCount: 2 } })
    // The link before is good for nothing, the new one is.
    expect((await accept(guest, token)).status).toBe(404)
    expect((await accept(guest, await tokenTo(guest.email))).status).toBe(200)
  })

  test('is gone when it was withdrawn, and a new one can be made', async () => {
    const { guest, token, invitationId } = await invited()
    for (let i = 0; i < 2; i++)
      expect((await owner.call('POST', `/v1/invitations/${invitationId}/revoke`, {})).body).toMatchObject({ status: 'revoked' })
    expect((await accept(guest, token)).status).toBe(410)
    expect((await owner.call('POST', `/v1/invitations/${invitationId}/resend`, {})).status).toBe(409)
    expect((await owner.call('POST', '/v1/invitations', { email: guest.email, role: 'viewer' })).status).toBe(201)
    expect((await accept(guest, await tokenTo(guest.email))).status).toBe(200)
  })

  test('is sent again after a minute, ten times at most', async () => {
    const { invitationId, guest } = await invited()
    const resend = () => owner.call('POST', `/v1/invitations/${invitationId}/resend`, {})
    const early = await resend()
    expect(early).toMatchObject({ status: 429 })
    expect(early.body.error.details.retryAfterMs).toBeGreaterThan(50_000)
    for (let sent = 2; sent <= 10; sent++) {
      await age(invitationId, '61 seconds')
      expect((await resend()).body).toMatchObject({ sentCount: sent })
    }
    await age(invitationId, '61 seconds')
    expect((await resend()).status).toBe(429)
    expect(await people.mailTo(guest.email)).toHaveLength(10)
  })

  test('is one per address, and none for who is a member', async () => {
    const { guest } = await invited()
    const again = { email: guest.email.toUpperCase(), role: 'viewer' }
    expect((await owner.call('POST', '/v1/invitations', again)).status).toBe(409)
    expect((await owner.call('POST', '/v1/invitations', { email: owner.email, role: 'viewer' })).status).toBe(409)
    const member = await people.member(organizationId, 'viewer')
    await owner.call('PATCH', `/v1/members/${member.userId}`, { status: 'suspended' })
    expect((await owner.call('POST', '/v1/invitations', { email: member.email, role: 'viewer' })).status).toBe(409)
  })

  test('brings back who was removed, under the next revision', async () => {
    const member = await people.member(organizationId, 'admin')
    await owner.call('DELETE', `/v1/members/${member.userId}`)
    expect((await owner.call('POST', '/v1/invitations', { email: member.email, role: 'viewer' })).status).toBe(201)
    expect((await accept(member, await tokenTo(member.email))).body).toMatchObject({ role: 'viewer', permissions: [] })
    const joined = (await world.events('accounts', 'member.joined')).filter(({ key }) => key === member.userId)
    expect(joined).toMatchObject([{ data: { role: 'viewer', status: 'active', revision: 3 } }])
  })

  test('that is withdrawn and accepted at the same moment is one or the other', async () => {
    for (let round = 0; round < 10; round++) {
      const { guest, token, invitationId } = await invited()
      const [taken, revoked] = await Promise.all([
        accept(guest, token),
        owner.call('POST', `/v1/invitations/${invitationId}/revoke`, {}),
      ])
      expect([
        [200, 409],
        [410, 200],
      ]).toContainEqual([taken.status, revoked.status])
    }
  })

  test('does not lift a suspension that came after it', async () => {
    const { guest, token } = await invited()
    await world.sql(
      `insert into accounts.members (organization_id, user_id, role, status) values ($1, $2, 'viewer', 'suspended')`,
      [organizationId, guest.userId],
    )
    expect((await accept(guest, token)).status).toBe(403)
  })

  test('of who may no longer give its role is withdrawn with that', async () => {
    const admin = await people.member(organizationId, 'admin')
    const { guest, token } = await invited({ role: 'admin' }, admin)
    await owner.call('PATCH', `/v1/members/${admin.userId}`, { role: 'support' })
    expect((await accept(guest, token)).status).toBe(410)
    const leaver = await people.member(organizationId, 'admin')
    const other = await invited({ role: 'viewer' }, leaver)
    await owner.call('DELETE', `/v1/members/${leaver.userId}`)
    expect((await accept(other.guest, other.token)).status).toBe(410)
  })
})

describe('who invites', () => {
  test('gives no role and no permission beyond their own, and nothing else', async () => {
    const admin = await people.member(organizationId, 'admin')
    const invite = (by: Person, body: unknown) => by.call('POST', '/v1/invitations', body)
    expect((await invite(admin, { email: 'a@example.com', role: 'owner' })).status).toBe(403)
    const wanted = { email: 'a@example.com', role: 'viewer', permissions: ['billing:write'] }
    expect((await invite(admin, wanted)).status).toBe(403)
    expect((await invite(owner, wanted)).status).toBe(201)
    for (const field of ['organizationId', 'status', 'token', 'invitedBy', 'expiresAt'])
      expect((await invite(owner, { email: 'b@example.com', role: 'viewer', [field]: 'x' })).status, field).toBe(400)
    for (const wrong of [{ email: 'nobody' }, { role: 'god' }, { personalMessage: 'see https://evil.example' }])
      expect((await invite(owner, { email: 'b@example.com', role: 'viewer', ...wrong })).status, JSON.stringify(wrong)).toBe(400)
  })

  test('neither sends again nor withdraws what is above them', async () => {
    const admin = await people.member(organizationId, 'admin')
    const { invitationId } = await invited({ role: 'owner' })
    await age(invitationId, '2 minutes')
    expect((await admin.call('POST', `/v1/invitations/${invitationId}/resend`, {})).status).toBe(403)
    expect((await admin.call('POST', `/v1/invitations/${invitationId}/revoke`, {})).status).toBe(403)
  })

  test('reaches no invitation of another organization', async () => {
    const { invitationId } = await invited()
    const other = await people.organization('Other')
    for (const what of ['resend', 'revoke'])
      expect((await other.owner.call('POST', `/v1/invitations/${invitationId}/${what}`, {})).status).toBe(404)
    expect((await other.owner.call('GET', '/v1/invitations')).body).toMatchObject({ total: 0, items: [] })
  })

  test('may invite many, one after the other and again', async () => {
    // More often than Postgres plans a statement anew for each call: from then on it has one plan for all.
    for (let i = 0; i < 60; i++) {
      const answer = await owner.call('POST', '/v1/invitations', { email: `guest-${i % 50}@example.com`, role: 'viewer' })
      expect(answer.status).toBe(i < 50 ? 201 : 409)
    }
  })

  test('sends a hundred a day at most', async () => {
    await world.sql(
      `insert into accounts.invitations (organization_id, invitation_id, email, role, token_hash, expires_at, last_sent_at, status)
       select $1, gen_random_uuid(), 'x' || n || '@example.com', 'viewer', decode(md5(n::text), 'hex'), now(), now(), 'revoked'
       from generate_series(1, 100) n`,
      [organizationId],
    )
    expect((await owner.call('POST', '/v1/invitations', { email: 'a@example.com', role: 'viewer' })).status).toBe(429)
    await world.sql(`update accounts.invitations set created_at = now() - interval '25 hours' where organization_id = $1`, [
      organizationId,
    ])
    expect((await owner.call('POST', '/v1/invitations', { email: 'a@example.com', role: 'viewer' })).status).toBe(201)
  })
})

describe('its token', () => {
  test('is in the mail and nowhere else', async () => {
    const { token, guest } = await invited({ role: 'support', personalMessage: 'Bienvenue !' })
    const [mail] = await people.mailTo(guest.email)
    expect(mail).toMatchObject({ subject: 'Invitation à rejoindre Maison Zoé', text: expect.stringContaining('> Bienvenue !') })
    const everything = JSON.stringify([
      await world.sql(`select * from accounts.invitations`),
      await world.sql(`select * from accounts.mails`),
      await world.events('accounts'),
      (await owner.call('GET', '/v1/invitations')).body,
    ])
    expect(everything).not.toContain(token)
    expect(everything).not.toContain(token.slice(22))
  })

  test('says to who has it what it is about, and nothing to who has not', async () => {
    const { token } = await invited()
    const lookUp = (text: string) => people.call(null, 'POST', '/v1/invitations/lookup', { token: text })
    expect(await lookUp(token)).toMatchObject({
      status: 200,
      body: { organizationName: 'Maison Zoé', role: 'support', status: 'pending' },
    })
    expect(Object.keys((await lookUp(token)).body).sort()).toEqual(['expiresAt', 'organizationName', 'role', 'status'])
    const changed = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')
    // Of another organization's token only the first part is different: its row is not seen from there.
    const other = await people.organization('Other')
    const elsewhere = Buffer.from(other.organizationId.replaceAll('-', ''), 'hex').toString('base64url') + token.slice(22)
    for (const wrong of [changed, elsewhere]) expect((await lookUp(wrong)).status).toBe(404)
    expect((await lookUp('short')).status).toBe(400)
  })
})
