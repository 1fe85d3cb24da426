import type { Permission, Role } from '@parley/contracts'
import { AppError, type Caller, type CommitTools, type Tx } from '@parley/runtime'
import { revokeInvitationsOf } from './db/invitations.ts'
import { changeMember, lockMembers, type Member } from './db/members.ts'
import type { DB } from './db/types.ts'
import { behind, managerOf } from './manager.ts'
import { isLastOwner, lacking, type Manager, mayGive, refuseChange, type Refusal, type WantedMember } from './rules/membership.ts'

const refusals: Record<Exclude<Refusal, 'permission'>, () => AppError> = {
  own: () => new AppError('forbidden', 'Nobody changes their own membership: ask another owner or admin, or leave.'),
  role: () => new AppError('forbidden', 'You may not manage members of this role.'),
  last_owner: () => lastOwner(),
  removed: () => new AppError('conflict', 'This person is no longer a member: invite them again.'),
}
const lastOwner = () => new AppError('conflict', 'An organization keeps an owner: make somebody else one first.')

/** Changes a membership for the caller, if they may. Throws AppError. */
export async function manageMember(
  tx: Tx<DB>,
  tools: CommitTools,
  caller: Caller,
  userId: string,
  wanted: WantedMember,
  reason: string | null,
): Promise<Member> {
  const { organizationId } = caller
  const locked = await lockMembers(tx, organizationId, [userId, ...behind(caller)])
  const manager = managerOf(caller, locked)
  const member = locked.find((each) => each.userId === userId)
  if (!member) throw new AppError('not_found', 'No member with that id.')
  const refusal = refuseChange(manager, member, wanted, ownersOf(locked))
  if (refusal === 'permission') throw lackingPermissions(manager, wanted.permissions ?? [])
  if (refusal) throw refusals[refusal]()
  const { role = member.role, permissions = member.permissions, status = member.status } = wanted
  if (role === member.role && status === member.status && sameSet(permissions, member.permissions)) return member
  const changed = await changeMember(tx, tools, member, { role, permissions: [...new Set(permissions)].sort(), status }, reason)
  await revokeBeyond(tx, organizationId, changed)
  return changed
}

/** Ends somebody's own membership. */
export async function leaveOrganization(tx: Tx<DB>, tools: CommitTools, organizationId: string, userId: string): Promise<void> {
  const locked = await lockMembers(tx, organizationId, [userId])
  const member = locked.find((each) => each.userId === userId)
  if (!member || member.status === 'removed') throw new AppError('not_found', 'You are not a member of this organization.')
  if (isLastOwner(userId, ownersOf(locked))) throw lastOwner()
  const left = await changeMember(tx, tools, member, { status: 'removed' }, 'left')
  await revokeBeyond(tx, organizationId, left)
}

/** Makes another active member the owner; the owner who does it stays as an admin. */
export async function handOver(
  tx: Tx<DB>,
  tools: CommitTools,
  organizationId: string,
  from: string,
  to: string,
): Promise<{ from: Member; to: Member }> {
  if (from === to) throw new AppError('conflict', 'You are the owner already.')
  const locked = await lockMembers(tx, organizationId, [from, to])
  const owner = locked.find(({ userId }) => userId === from)
  if (owner?.role !== 'owner' || owner.status !== 'active') throw new AppError('forbidden', 'Only an owner hands over ownership.')
  const heir = locked.find(({ userId }) => userId === to)
  if (heir?.status !== 'active') throw new AppError('not_found', 'No active member with that id.')
  // First the new one, so that at no moment in the events' order there is none.
  const made = heir.role === 'owner' ? heir : await changeMember(tx, tools, heir, { role: 'owner' }, 'ownership handed over')
  const left = await changeMember(tx, tools, owner, { role: 'admin' }, 'ownership handed over')
  await revokeBeyond(tx, organizationId, left)
  return { to: made, from: left }
}

/** Throws AppError unless somebody may hand out a role with these permissions on top. */
export function assertMayGive(manager: Manager, role: Role, permissions: readonly Permission[]): void {
  if (!mayGive(manager, role)) throw refusals.role()
  if (lacking(manager, permissions).length > 0) throw lackingPermissions(manager, permissions)
}

function lackingPermissions(manager: Manager, wanted: readonly Permission[]): AppError {
  return new AppError('forbidden', 'Nobody gives a permission that they lack.', {
    details: { lacking: lacking(manager, wanted) },
  })
}

/** What somebody invited to while they could is not to be accepted once they cannot any more. */
async function revokeBeyond(tx: Tx<DB>, organizationId: string, member: Member): Promise<void> {
  const gone = member.status !== 'active'
  await revokeInvitationsOf(tx, organizationId, member.userId, gone ? null : member.role)
}

const ownersOf = (locked: readonly Member[]) =>
  locked.flatMap(({ userId, role, status }) => (role === 'owner' && status === 'active' ? [userId] : []))

const sameSet = (one: readonly string[], other: readonly string[]) =>
  one.every((each) => other.includes(each)) && other.every((each) => one.includes(each))
