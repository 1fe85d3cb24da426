import { memberChanged, memberJoined, memberRemoved, type Membership, type Permission, type Role } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import type { DB, Members } from './types.ts'
import { addUserOrganization, removeUserOrganization } from './user-organizations.ts'

export type Member = Selectable<Members>

/** The membership of a person, whatever its status. */
export async function findMember(tx: Tx<DB>, organizationId: string, userId: string): Promise<Member | undefined> {
  return tx
    .selectFrom('members')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('userId', '=', userId)
    .executeTakeFirst()
}

/**
 * The memberships that a change is decided by, locked until the commit: of these persons, and of every owner, so that two owners who
 * leave at the same moment cannot both believe that the other one stays. In one order, so that no two changes wait for each other.
 */
export async function lockMembers(tx: Tx<DB>, organizationId: string, userIds: readonly string[]): Promise<Member[]> {
  return tx
    .selectFrom('members')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where((eb) =>
      eb.or([
        eb.and([eb('role', '=', 'owner'), eb('status', '=', 'active')]),
        ...(userIds.length === 0 ? [] : [eb('userId', 'in', [...userIds])]),
      ]),
    )
    .orderBy('userId')
    .forUpdate()
    .execute()
}

export interface NewMember {
  userId: string
  role: Role
  permissions: readonly Permission[]
  invitedBy: string | null
}

/** Makes somebody a member, or a member again: the caller has decided that they may be. */
export async function addMember(tx: Tx<DB>, tools: CommitTools, organizationId: string, fresh: NewMember): Promise<Member> {
  const { userId, role, invitedBy } = fresh
  const permissions = [...fresh.permissions]
  const member = await tx
    .insertInto('members')
    .values({ organizationId, userId, role, permissions, invitedBy })
    .onConflict((conflict) =>
      conflict.columns(['organizationId', 'userId']).doUpdateSet((eb) => ({
        role,
        permissions,
        invitedBy,
        status: 'active',
        joinedAt: sql<Date>`now()`,
        removedAt: null,
        revision: eb('members.revision', '+', 1),
        updatedAt: sql<Date>`now()`,
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow()
  await addUserOrganization(tx, userId, organizationId)
  tools.emit(memberJoined, membershipOf(member))
  tools.audit({ resourceType: 'member', resourceId: userId, before: null, after: { role, permissions, status: 'active' } })
  return member
}

export type MemberChange = Pick<Updateable<Members>, 'role' | 'permissions' | 'status'>

/** Writes role, permissions or status under the next revision, and tells everybody. `removed` ends the membership. */
export async function changeMember(
  tx: Tx<DB>,
  tools: CommitTools,
  before: Member,
  change: MemberChange,
  reason: string | null = null,
): Promise<Member> {
  const { organizationId, userId } = before
  const removed = change.status === 'removed'
  const member = await tx
    .updateTable('members')
    .set((eb) => ({
      ...change,
      ...(removed ? { removedAt: sql<Date>`now()` } : {}),
      revision: eb('revision', '+', 1),
      updatedAt: sql<Date>`now()`,
    }))
    .where('organizationId', '=', organizationId)
    .where('userId', '=', userId)
    .returningAll()
    .executeTakeFirstOrThrow()
  if (removed) await removeUserOrganization(tx, userId, organizationId)
  tools.emit(removed ? memberRemoved : memberChanged, membershipOf(member))
  tools.audit({ resourceType: 'member', resourceId: userId, before: auditedOf(before), after: auditedOf(member), reason })
  return member
}

/** The membership as every service keeps it. */
export function membershipOf(member: Member): Membership {
  const { userId, role, permissions, status, revision } = member
  return { userId, role, permissions, status, revision }
}

const auditedOf = ({ role, permissions, status }: Member) => ({ role, permissions, status })

/**
 * Saves what is a member's own business and nobody else's: no revision, no event. Undefined when they are not an active member (a
 * token may still name an organization that somebody was removed from).
 */
export async function saveOwnMembership(
  tx: Tx<DB>,
  organizationId: string,
  userId: string,
  own: Pick<Updateable<Members>, 'notificationPreferences' | 'onboardingStep' | 'onboardingCompleted'>,
): Promise<Member | undefined> {
  return tx
    .updateTable('members')
    .set({ ...own, updatedAt: sql<Date>`now()` })
    .where('organizationId', '=', organizationId)
    .where('userId', '=', userId)
    .where('status', '=', 'active')
    .returningAll()
    .executeTakeFirst()
}
