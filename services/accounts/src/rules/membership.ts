import { mayManage, type MemberStatus, type Permission, type Role, rolePermissions } from '@parley/contracts'

/** Who wants to change a membership: a member with their role as it is in the transaction, or a key or operator with what it may. */
export interface Manager {
  /** Null for who is not a member. */
  userId: string | null
  role: Role | null
  /** A key acts for this member: it is bound by what they may do and by what it may do itself. */
  byKey?: boolean
  permissions: ReadonlySet<Permission>
}

export interface MemberState {
  userId: string
  role: Role
  permissions: readonly Permission[]
  status: MemberStatus
}

export interface WantedMember {
  role?: Role | undefined
  permissions?: readonly Permission[] | undefined
  status?: 'active' | 'suspended' | 'removed' | undefined
}

export type Refusal = 'own' | 'role' | 'permission' | 'last_owner' | 'removed'

/** Whether somebody may hand out a role: never more than they have themselves. */
export function mayGive(manager: Manager, role: Role): boolean {
  if (manager.role !== null && !mayManage(manager.role, role)) return false
  if (manager.role !== null && manager.byKey !== true) return true
  // A key makes no owners and no admins, who could do more than it.
  return (
    role !== 'owner' && role !== 'admin' && [...rolePermissions[role]].every((permission) => manager.permissions.has(permission))
  )
}

/** The permissions of `wanted` that somebody lacks and so cannot give. */
export function lacking(manager: Manager, wanted: readonly Permission[]): Permission[] {
  return wanted.filter((permission) => !manager.permissions.has(permission))
}

/**
 * Why a change of a membership is refused; null when it may be. `owners` are the active owners, read under the same locks.
 *
 * Nobody changes their own membership here, not even downwards: leaving is another call, and a mistake of an admin about themselves
 * could not be undone by them. What a member already has stays with them whoever changes the rest.
 */
export function refuseChange(
  manager: Manager,
  member: MemberState,
  wanted: WantedMember,
  owners: readonly string[],
): Refusal | null {
  if (member.status === 'removed') return 'removed'
  if (manager.userId === member.userId) return 'own'
  if (!mayGive(manager, member.role)) return 'role'
  if (wanted.role !== undefined && wanted.role !== member.role && !mayGive(manager, wanted.role)) return 'role'
  const added = (wanted.permissions ?? []).filter((permission) => !member.permissions.includes(permission))
  if (lacking(manager, added).length > 0) return 'permission'
  const staysOwner = (wanted.role ?? member.role) === 'owner' && (wanted.status ?? member.status) === 'active'
  return !staysOwner && isLastOwner(member.userId, owners) ? 'last_owner' : null
}

/** True when an organization would have no active owner without this person. */
export function isLastOwner(userId: string, owners: readonly string[]): boolean {
  return owners.includes(userId) && owners.every((owner) => owner === userId)
}
