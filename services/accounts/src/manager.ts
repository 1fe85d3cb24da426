import { installationId, Permission, permissionsOf } from '@parley/contracts'
import { AppError, type Caller } from '@parley/runtime'
import type { Member } from './db/members.ts'
import type { Manager } from './rules/membership.ts'

/**
 * Who is behind a call that manages members or keys, by the memberships that the transaction has locked: what the call was let in
 * with may be a moment old, and a person who was demoted in that moment must not act on what they were.
 */
export function managerOf(caller: Caller, locked: readonly Member[]): Manager {
  if (caller.actor.kind === 'operator') {
    // An operator's key with every permission stands above the organization's owners; one with less is a key like any other.
    const all = Permission.options.every((permission) => caller.permissions.has(permission))
    return { userId: null, role: all ? 'owner' : null, permissions: caller.permissions }
  }
  // A key stands where who made it stands: what they may not do themselves, their own membership included, it may not do for them.
  const actingId = personBehind(caller)
  if (actingId === null) return { userId: null, role: null, permissions: caller.permissions }
  const member = locked.find(({ userId }) => userId === actingId)
  if (member?.status !== 'active') throw new AppError('forbidden', 'You are not an active member of this organization.')
  // Not more than the call may: a token of another issuer may have been given for less than its owner may do.
  const permissions = [...permissionsOf(member.role, member.permissions)].filter((one) => caller.permissions.has(one))
  return { userId: member.userId, role: member.role, byKey: caller.userId === null, permissions: new Set(permissions) }
}

/** The member whose rights a call has: the caller, or who made the key that calls. Null for the operator. */
export const personBehind = (caller: Caller): string | null => caller.userId ?? caller.makerId ?? null

/** Whom a transaction must lock, beside those whom it changes, before `managerOf` may judge. */
export function behind(caller: Caller): string[] {
  const personId = personBehind(caller)
  return personId === null ? [] : [personId]
}

/** The organization that somebody acts in. Throws AppError when they have not chosen one. */
export function chosenOrganization(caller: Caller): string {
  if (caller.organizationId === installationId) throw new AppError('conflict', 'Choose an organization first.')
  return caller.organizationId
}

/** The person behind a call. Throws AppError `forbidden` for a key. */
export function personOf(caller: Caller): string {
  if (caller.userId === null) throw new AppError('forbidden', 'This is for people, not for keys.')
  return caller.userId
}
