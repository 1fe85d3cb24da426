import { EmailAddress, Id, Permission, Role, Timestamp } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findInvitationByToken, type Invitation, listInvitations, lockInvitation, updateInvitation } from '../db/invitations.ts'
import { lockMembers } from '../db/members.ts'
import { findOrganization } from '../db/organizations.ts'
import { acceptInvitation, invite, inviteAgain, noInvitation } from '../invite.ts'
import { behind, managerOf, personOf } from '../manager.ts'
import { assertMayGive } from '../member-change.ts'
import { organizationTokenLength, readOrganizationToken } from '../organization-token.ts'
import { holdsLink, invitationStatuses, statusOf } from '../rules/invitation.ts'

const Status = z.enum(invitationStatuses)
const InvitationView = z.object({
  invitationId: Id,
  email: z.string(),
  role: Role,
  permissions: z.array(Permission),
  personalMessage: z.string().nullable(),
  invitedBy: Id.nullable(),
  status: Status,
  expiresAt: Timestamp,
  sentCount: z.int(),
  lastSentAt: Timestamp,
  acceptedAt: Timestamp.nullable(),
  acceptedBy: Id.nullable(),
  revokedAt: Timestamp.nullable(),
  revokedBy: z.string().nullable(),
  createdAt: Timestamp,
})
const OneInvitation = z.strictObject({ invitationId: Id })
const WithToken = z.strictObject({ token: z.string().length(organizationTokenLength) })

export const postInvitation = route({
  method: 'POST',
  path: '/v1/invitations',
  summary: 'Invite somebody by e-mail; the link is good for seven days and for that address only.',
  scope: 'members:write',
  perMinute: 30,
  refuses: {
    not_found: 'There is no such organization.',
    conflict: [
      'This address is invited already: send it again instead.',
      'This person is a member already.',
      'This person is a suspended member: end the suspension instead.',
    ],
  },
  body: z.strictObject({
    email: EmailAddress,
    role: Role,
    permissions: z.array(Permission).max(100).default([]).describe('On top of the role’s.'),
    personalMessage: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .refine((text) => !holdsLink(text), 'must hold no address to click')
      .nullable()
      .default(null),
  }),
  reply: InvitationView,
  status: 201,
  async run({ body, caller, app, commit }) {
    return view(await commit((tx, tools) => invite(tx, tools, app, caller, body)), app.now())
  },
})

export const getInvitations = route({
  method: 'GET',
  path: '/v1/invitations',
  summary: 'Invitations, latest first.',
  scope: 'members:read',
  query: z.strictObject({ ...pageQuery, status: Status.optional() }),
  reply: pageOf(InvitationView),
  async run({ query: { page, limit, status }, caller, app, read }) {
    const now = app.now()
    const { items, total } = await read((tx) =>
      listInvitations(tx, caller.organizationId, { status, limit, offset: (page - 1) * limit }, now),
    )
    return { items: items.map((invitation) => view(invitation, now)), page, limit, total }
  },
})

export const resendInvitation = route({
  method: 'POST',
  path: '/v1/invitations/:invitationId/resend',
  summary: 'Send an invitation again, with a new link and seven days more; once a minute, ten times at most.',
  scope: 'members:write',
  perMinute: 30,
  refuses: {
    not_found: ['There is no such invitation.', 'There is no such organization.'],
    conflict: 'This invitation is closed: make a new one.',
  },
  params: OneInvitation,
  body: z.strictObject({}),
  reply: InvitationView,
  async run({ params, caller, app, commit }) {
    return view(await commit((tx, tools) => inviteAgain(tx, tools, app, caller, params.invitationId)), app.now())
  },
})

export const revokeInvitation = route({
  method: 'POST',
  path: '/v1/invitations/:invitationId/revoke',
  summary: 'Withdraw an invitation; its link is good for nothing from then on.',
  scope: 'members:write',
  refuses: { not_found: 'There is no such invitation.', conflict: 'It was accepted already: remove the member instead.' },
  params: OneInvitation,
  body: z.strictObject({}),
  reply: InvitationView,
  async run({ params: { invitationId }, caller, app, commit }) {
    const { organizationId } = caller
    const now = app.now()
    const invitation = await commit(async (tx, { audit }) => {
      const manager = managerOf(caller, await lockMembers(tx, organizationId, behind(caller)))
      const before = await lockInvitation(tx, organizationId, invitationId)
      if (!before) throw noInvitation()
      assertMayGive(manager, before.role, [])
      const status = statusOf(before, now)
      if (status === 'revoked') return before
      if (status === 'accepted') throw new AppError('conflict', 'It was accepted already: remove the member instead.')
      audit({ resourceType: 'invitation', resourceId: invitationId, before: { status }, after: { status: 'revoked' } })
      return updateInvitation(tx, organizationId, invitationId, {
        status: 'revoked',
        revokedAt: now,
        revokedBy: caller.actor.id,
      })
    })
    return view(invitation, now)
  },
})

export const lookUpInvitation = route({
  method: 'POST',
  path: '/v1/invitations/lookup',
  summary:
    'What an invitation’s link is about, for the page that asks whether to accept. The token is in the body: addresses are logged.',
  scope: 'public',
  perMinute: 20,
  refuses: { not_found: 'There is no such invitation.' },
  body: WithToken,
  reply: z.object({ organizationName: z.string(), role: Role, status: Status, expiresAt: Timestamp }),
  async run({ body, app }) {
    const named = readOrganizationToken(body.token)
    if (!named) throw noInvitation()
    const { organizationId, hash } = named
    return app.database.read(organizationId, async (tx) => {
      const invitation = await findInvitationByToken(tx, organizationId, hash)
      const organization = invitation && (await findOrganization(tx, organizationId))
      if (!organization) throw noInvitation()
      const { role, expiresAt } = invitation
      return {
        organizationName: organization.name,
        role,
        status: statusOf(invitation, app.now()),
        expiresAt: expiresAt.toISOString(),
      }
    })
  },
})

export const postAccept = route({
  method: 'POST',
  path: '/v1/invitations/accept',
  summary: 'Accept an invitation as the person whose address it was sent to.',
  scope: 'self',
  perMinute: 20,
  refuses: {
    not_found: 'There is no such invitation.',
    conflict: [
      'You are a member of this organization already.',
      'A person can be in 50 organizations at most.',
      'This invitation was accepted already.',
    ],
    gone: ['This invitation has run out: ask for a new one.', 'This invitation was withdrawn.'],
  },
  body: WithToken,
  reply: z.object({ organizationId: Id, role: Role, permissions: z.array(Permission) }),
  async run({ body, caller, from, requestId, app }) {
    const userId = personOf(caller)
    const named = readOrganizationToken(body.token)
    if (!named) throw noInvitation()
    const { organizationId, hash } = named
    // Not the caller's own commit: that one is bound to the organization they act in now.
    const origin = {
      organizationId,
      correlationId: requestId,
      call: { requestId, actor: caller.actor, from, action: 'POST /v1/invitations/accept' },
    }
    const { role, permissions } = await app.database.commit(origin, (tx, tools) =>
      acceptInvitation(tx, tools, organizationId, hash, userId, app.now()),
    )
    return { organizationId, role, permissions }
  },
})

function view(invitation: Invitation, now: Date): z.infer<typeof InvitationView> {
  const { invitationId, email, role, permissions, personalMessage, invitedBy, sentCount, acceptedBy, revokedBy } = invitation
  return {
    invitationId,
    email,
    role,
    permissions,
    personalMessage,
    invitedBy,
    status: statusOf(invitation, now),
    expiresAt: invitation.expiresAt.toISOString(),
    sentCount,
    lastSentAt: invitation.lastSentAt.toISOString(),
    acceptedAt: invitation.acceptedAt?.toISOString() ?? null,
    acceptedBy,
    revokedAt: invitation.revokedAt?.toISOString() ?? null,
    revokedBy,
    createdAt: invitation.createdAt.toISOString(),
  }
}
