import { memberInvited, type Permission, permissionsOf, type Role } from '@parley/contracts'
import { AppError, type Caller, type CommitTools, type Tx } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import type { App } from './app.ts'
import {
  countInvitationsSince,
  expireInvitations,
  findInvitationByToken,
  insertInvitation,
  type Invitation,
  lockInvitation,
  lockInvitationByToken,
  updateInvitation,
} from './db/invitations.ts'
import { queueMail } from './db/mails.ts'
import { addMember, findMember, lockMembers, type Member } from './db/members.ts'
import { findOrganization } from './db/organizations.ts'
import type { DB } from './db/types.ts'
import { listUserOrganizations, mostOrganizations } from './db/user-organizations.ts'
import { findUser, findUserByEmail, lockUser } from './db/users.ts'
import { invitationMail } from './invitation-mail.ts'
import { behind, managerOf, personBehind } from './manager.ts'
import { assertMayGive } from './member-change.ts'
import { makeOrganizationToken } from './organization-token.ts'
import { lacking, mayGive } from './rules/membership.ts'
import { type Acceptance, decideAcceptance, decideResend, invitationLifeMs } from './rules/invitation.ts'

const mostADay = 100
const dayMs = 24 * 3_600_000

export interface NewInvite {
  email: string
  role: Role
  permissions: readonly Permission[]
  personalMessage: string | null
}

/** Invites somebody for the caller, if they may. Throws AppError. */
export async function invite(tx: Tx<DB>, tools: CommitTools, app: App, caller: Caller, wanted: NewInvite): Promise<Invitation> {
  const { organizationId } = caller
  const { email, role } = wanted
  // With the inviter's membership locked: an invitation of somebody who is being removed at this moment is either refused or revoked.
  assertMayGive(managerOf(caller, await lockMembers(tx, organizationId, behind(caller))), role, wanted.permissions)
  const now = app.now()
  if ((await countInvitationsSince(tx, organizationId, new Date(now.getTime() - dayMs))) >= mostADay)
    throw new AppError('too_many_requests', `An organization invites ${mostADay} people a day at most.`)
  await refuseMember(tx, organizationId, email)
  await expireInvitations(tx, organizationId, email, now)
  const { token, hash } = makeOrganizationToken(organizationId)
  const permissions = [...new Set(wanted.permissions)].sort()
  const invitation = await insertInvitation(tx, organizationId, {
    invitationId: randomUUIDv7(),
    email,
    role,
    permissions,
    personalMessage: wanted.personalMessage,
    invitedBy: personBehind(caller),
    tokenHash: hash,
    expiresAt: new Date(now.getTime() + invitationLifeMs),
    lastSentAt: now,
  })
  if (!invitation) throw new AppError('conflict', 'This address is invited already: send it again instead.')
  await announce(tx, tools, app, invitation, token)
  const { invitationId } = invitation
  tools.audit({ resourceType: 'invitation', resourceId: invitationId, before: null, after: { email, role, permissions } })
  return invitation
}

/** Mails an invitation once more, under a new token: the one before is good for nothing from then on. Throws AppError. */
export async function inviteAgain(
  tx: Tx<DB>,
  tools: CommitTools,
  app: App,
  caller: Caller,
  invitationId: string,
): Promise<Invitation> {
  const { organizationId } = caller
  const manager = managerOf(caller, await lockMembers(tx, organizationId, behind(caller)))
  const before = await lockInvitation(tx, organizationId, invitationId)
  if (!before) throw noInvitation()
  // Whoever sends it hands out what is in it.
  assertMayGive(manager, before.role, before.permissions)
  const now = app.now()
  const resend = decideResend(before, now)
  if (!resend.send) {
    if (resend.why === 'closed') throw new AppError('conflict', 'This invitation is closed: make a new one.')
    if (resend.why === 'too_often') throw new AppError('too_many_requests', 'This invitation was sent too often: make a new one.')
    throw new AppError('too_many_requests', 'It was sent a moment ago: wait a minute.', {
      details: { retryAfterMs: resend.waitMs },
    })
  }
  const { token, hash } = makeOrganizationToken(organizationId)
  const invitation = await updateInvitation(tx, organizationId, invitationId, {
    status: 'pending',
    tokenHash: hash,
    sentCount: before.sentCount + 1,
    lastSentAt: now,
    expiresAt: new Date(now.getTime() + invitationLifeMs),
    invitedBy: personBehind(caller) ?? before.invitedBy,
  })
  await announce(tx, tools, app, invitation, token)
  tools.audit({
    resourceType: 'invitation',
    resourceId: invitationId,
    before: { sentCount: before.sentCount, expiresAt: before.expiresAt },
    after: { sentCount: invitation.sentCount, expiresAt: invitation.expiresAt },
  })
  return invitation
}

const notAccepted: Record<Exclude<Acceptance, 'accept'>, () => AppError> = {
  other_person: () => new AppError('forbidden', 'This invitation is for another e-mail address.'),
  not_verified: () => new AppError('forbidden', 'Prove your e-mail address first.'),
  accepted: () => new AppError('conflict', 'This invitation was accepted already.'),
  expired: () => new AppError('gone', 'This invitation has run out: ask for a new one.'),
  revoked: () => new AppError('gone', 'This invitation was withdrawn.'),
}

/** Makes the person a member of the organization whose commit this is. Throws AppError. */
export async function acceptInvitation(
  tx: Tx<DB>,
  tools: CommitTools,
  organizationId: string,
  tokenHash: Buffer,
  userId: string,
  now: Date,
): Promise<Member> {
  // Who invited is held first, as where somebody is invited: two orders would wait for each other.
  const invitedBy = (await findInvitationByToken(tx, organizationId, tokenHash))?.invitedBy ?? null
  const locked = await lockMembers(tx, organizationId, invitedBy === null ? [userId] : [invitedBy, userId])
  const invitation = await lockInvitationByToken(tx, organizationId, tokenHash)
  if (!invitation) throw noInvitation()
  const person = await lockUser(tx, userId)
  if (!person) throw new AppError('unauthenticated', 'This person is not known here.')
  const decision = decideAcceptance(invitation, { email: person.email, emailVerified: person.emailVerifiedAt !== null }, now)
  if (decision !== 'accept') throw notAccepted[decision]()
  if (invitation.invitedBy !== null && !mayStillGive(locked, invitation)) throw notAccepted.revoked()
  const member = await findMember(tx, organizationId, userId)
  if (member?.status === 'active') throw new AppError('conflict', 'You are a member of this organization already.')
  // An invitation must not lift what an owner has decided since.
  if (member?.status === 'suspended') throw new AppError('forbidden', 'Your membership of this organization is suspended.')
  if ((await listUserOrganizations(tx, userId)).length >= mostOrganizations)
    throw new AppError('conflict', `A person can be in ${mostOrganizations} organizations at most.`)
  const { invitationId, role, permissions } = invitation
  await updateInvitation(tx, organizationId, invitationId, { status: 'accepted', acceptedAt: now, acceptedBy: userId })
  tools.audit({
    resourceType: 'invitation',
    resourceId: invitationId,
    before: { status: 'pending' },
    after: { status: 'accepted', acceptedBy: userId },
  })
  return addMember(tx, tools, organizationId, { userId, role, permissions, invitedBy: invitation.invitedBy })
}

/** An invitation is worth what who gave it may give now, not what they once might. */
function mayStillGive(locked: readonly Member[], { invitedBy, role, permissions }: Invitation): boolean {
  const inviter = locked.find(({ userId }) => userId === invitedBy)
  if (inviter?.status !== 'active') return false
  const manager = { userId: inviter.userId, role: inviter.role, permissions: permissionsOf(inviter.role, inviter.permissions) }
  return manager.permissions.has('members:write') && mayGive(manager, role) && lacking(manager, permissions).length === 0
}

export const noInvitation = () => new AppError('not_found', 'There is no such invitation.')

async function refuseMember(tx: Tx<DB>, organizationId: string, email: string): Promise<void> {
  const person = await findUserByEmail(tx, email)
  const member = person && (await findMember(tx, organizationId, person.userId))
  if (member?.status === 'active') throw new AppError('conflict', 'This person is a member already.')
  if (member?.status === 'suspended')
    throw new AppError('conflict', 'This person is a suspended member: end the suspension instead.')
}

/** The mail and the fact. */
async function announce(tx: Tx<DB>, tools: CommitTools, app: App, invitation: Invitation, token: string): Promise<void> {
  const { organizationId, invitationId, invitedBy, role, expiresAt, sentCount } = invitation
  const organization = await findOrganization(tx, organizationId)
  if (!organization) throw new AppError('not_found', 'There is no such organization.')
  const inviter = invitedBy === null ? undefined : await findUser(tx, invitedBy)
  const { subject, text } = invitationMail({
    organizationName: organization.name,
    inviterName: inviter ? (inviter.displayName ?? inviter.email) : null,
    role,
    personalMessage: invitation.personalMessage,
    // Behind the #, a browser sends it to nobody, and no server's log keeps it.
    link: `${app.config.ACCOUNTS_PUBLIC_URL}/join#token=${token}`,
    expiresAt,
    locale: organization.locale,
    timezone: organization.timezone,
  })
  await queueMail(tx, tools, { keys: app.keys, to: invitation.email, subject, text, kind: 'invitation', sendBefore: expiresAt })
  tools.emit(memberInvited, { invitationId, role, invitedBy, expiresAt: expiresAt.toISOString(), sendCount: sentCount })
}
