import { Id, MemberStatus, Permission, permissionsOf, Role, Timestamp, WrittenText } from '@parley/contracts'
import { AppError, pageOf, pageQuery, type Tx } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { countKeysOf, revokeKeysOf } from '../db/api-keys.ts'
import { findMemberWithProfile, listMembers, type MemberWithProfile } from '../db/member-list.ts'
import type { DB } from '../db/types.ts'
import { chosenOrganization, personOf } from '../manager.ts'
import { handOver, leaveOrganization, manageMember } from '../member-change.ts'

const MemberView = z.object({
  userId: Id,
  email: z.string().nullable(),
  displayName: z.string().nullable(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  avatarUrl: z.string().nullable(),
  role: Role,
  /** On top of the role's. */
  permissions: z.array(Permission),
  /** All that they may, the role's included. */
  allowed: z.array(Permission),
  status: MemberStatus,
  emailVerified: z.boolean(),
  twoFactorEnabled: z.boolean(),
  onboardingStep: z.string().nullable(),
  onboardingCompleted: z.boolean(),
  invitedBy: Id.nullable(),
  joinedAt: Timestamp,
  removedAt: Timestamp.nullable(),
  lastSignInAt: Timestamp.nullable(),
  revision: z.int(),
})

const OneMember = z.strictObject({ userId: Id })
const Reason = WrittenText(500)

export const getMembers = route({
  method: 'GET',
  path: '/v1/members',
  summary: 'Who works for the organization, first joined first; removed ones only when asked for.',
  scope: 'members:read',
  query: z.strictObject({ ...pageQuery, status: MemberStatus.optional(), role: Role.optional() }),
  reply: pageOf(MemberView),
  async run({ query: { page, limit, ...filter }, caller, read }) {
    const { items, total } = await read((tx) =>
      listMembers(tx, caller.organizationId, { ...filter, limit, offset: (page - 1) * limit }),
    )
    return { items: items.map(view), page, limit, total }
  },
})

export const getMember = route({
  method: 'GET',
  path: '/v1/members/:userId',
  summary: 'One member.',
  scope: 'members:read',
  refuses: { not_found: 'No member with that id.' },
  params: OneMember,
  reply: MemberView,
  async run({ params, caller, read }) {
    return read((tx) => memberView(tx, caller.organizationId, params.userId))
  },
})

export const patchMember = route({
  method: 'PATCH',
  path: '/v1/members/:userId',
  summary: 'Change a member’s role, extra permissions or status; it holds in every service within seconds.',
  scope: 'members:write',
  refuses: {
    not_found: 'No member with that id.',
    conflict: [
      'This person is no longer a member: invite them again.',
      'An organization keeps an owner: make somebody else one first.',
    ],
  },
  params: OneMember,
  body: z
    .strictObject({
      role: Role.optional(),
      permissions: z.array(Permission).max(100).optional().describe('On top of the role’s; replaces what was there.'),
      status: z.enum(['active', 'suspended']).optional(),
      reason: Reason.optional(),
    })
    .refine(({ role, permissions, status }) => role ?? permissions ?? status, 'name a role, permissions or a status'),
  reply: MemberView,
  async run({ params, body: { reason, ...wanted }, caller, commit }) {
    return commit(async (tx, tools) => {
      await manageMember(tx, tools, caller, params.userId, wanted, reason ?? null)
      return memberView(tx, caller.organizationId, params.userId)
    })
  },
})

export const deleteMember = route({
  method: 'DELETE',
  path: '/v1/members/:userId',
  summary: 'Remove a member. Keys that they made open nothing from then on, unless somebody adopts them or you revoke them.',
  scope: 'members:write',
  refuses: {
    not_found: 'No member with that id.',
    conflict: [
      'This person is no longer a member: invite them again.',
      'An organization keeps an owner: make somebody else one first.',
    ],
  },
  params: OneMember,
  query: z.strictObject({ revokeKeys: z.enum(['true', 'false']).default('false'), reason: Reason.optional() }),
  reply: z.object({ member: MemberView, openKeys: z.int(), revokedKeys: z.int() }),
  async run({ params: { userId }, query, caller, app, commit }) {
    if (query.revokeKeys === 'true' && !caller.permissions.has('api-keys:write'))
      throw new AppError('forbidden', "You may not revoke keys: 'api-keys:write' is missing.")
    return commit(async (tx, tools) => {
      await manageMember(tx, tools, caller, userId, { status: 'removed' }, query.reason ?? null)
      const revocation = { by: caller.actor.id, at: app.now(), reason: 'their maker was removed' }
      const revokedKeys =
        query.revokeKeys === 'true' ? await revokeKeysOf(tx, tools, caller.organizationId, userId, revocation) : 0
      return {
        member: await memberView(tx, caller.organizationId, userId),
        openKeys: await countKeysOf(tx, caller.organizationId, userId),
        revokedKeys,
      }
    })
  },
})

export const postLeave = route({
  method: 'POST',
  path: '/v1/organization/leave',
  summary: 'Leave the organization you act in. Its last owner cannot.',
  scope: 'self',
  refuses: {
    not_found: 'You are not a member of this organization.',
    conflict: ['Choose an organization first.', 'An organization keeps an owner: make somebody else one first.'],
  },
  body: z.strictObject({}),
  reply: z.object({ left: Id }),
  async run({ caller, commit }) {
    const userId = personOf(caller)
    const organizationId = chosenOrganization(caller)
    await commit((tx, tools) => leaveOrganization(tx, tools, organizationId, userId))
    return { left: organizationId }
  },
})

/** How long ago somebody may have proved who they are for what cannot be taken back without the other side. */
const freshMs = 15 * 60_000

export const postTransfer = route({
  method: 'POST',
  path: '/v1/organization/transfer-ownership',
  summary: 'Hand ownership to another member and become an admin; only soon after signing in.',
  scope: 'organization:write',
  refuses: { not_found: ['No active member with that id.', 'No member with that id.'], conflict: 'You are the owner already.' },
  body: z.strictObject({ userId: Id }),
  reply: z.object({ owner: MemberView, you: MemberView }),
  async run({ body, caller, app, commit }) {
    const userId = personOf(caller)
    const provedAt = caller.authenticatedAt
    if (provedAt === null || app.now().getTime() - provedAt > freshMs) {
      throw new AppError('forbidden', 'Sign in again first: this is possible for 15 minutes after it.', {
        details: { reason: 'sign_in_again' },
      })
    }
    return commit(async (tx, tools) => {
      await handOver(tx, tools, caller.organizationId, userId, body.userId)
      return {
        owner: await memberView(tx, caller.organizationId, body.userId),
        you: await memberView(tx, caller.organizationId, userId),
      }
    })
  },
})

async function memberView(tx: Tx<DB>, organizationId: string, userId: string): Promise<z.infer<typeof MemberView>> {
  const member = await findMemberWithProfile(tx, organizationId, userId)
  if (!member) throw new AppError('not_found', 'No member with that id.')
  return view(member)
}

function view(member: MemberWithProfile): z.infer<typeof MemberView> {
  const { userId, email, displayName, firstName, lastName, avatarUrl, role, permissions, status } = member
  return {
    userId,
    email,
    displayName,
    firstName,
    lastName,
    avatarUrl,
    role,
    permissions,
    allowed: status === 'active' ? [...permissionsOf(role, permissions)].sort() : [],
    status,
    emailVerified: member.emailVerifiedAt !== null,
    twoFactorEnabled: member.totpConfirmedAt !== null,
    onboardingStep: member.onboardingStep,
    onboardingCompleted: member.onboardingCompleted,
    invitedBy: member.invitedBy,
    joinedAt: member.joinedAt.toISOString(),
    removedAt: member.removedAt?.toISOString() ?? null,
    lastSignInAt: member.lastSignInAt?.toISOString() ?? null,
    revision: member.revision,
  }
}
