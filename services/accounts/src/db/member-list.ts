import type { MemberStatus, Role } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import type { SelectQueryBuilder } from 'kysely'
import type { DB } from './types.ts'

export interface MemberFilter {
  status?: MemberStatus | undefined
  role?: Role | undefined
  limit: number
  offset: number
}

/** Memberships with what their persons are called, first joined first. Who was removed is shown only when asked for. */
export async function listMembers(tx: Tx<DB>, organizationId: string, filter: MemberFilter) {
  let matching = tx.selectFrom('members').where('members.organizationId', '=', organizationId)
  matching = filter.status
    ? matching.where('members.status', '=', filter.status)
    : matching.where('members.status', '<>', 'removed')
  if (filter.role) matching = matching.where('members.role', '=', filter.role)
  const items = await withProfile(matching)
    .orderBy('members.joinedAt')
    .orderBy('members.userId')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}

export type MemberWithProfile = Awaited<ReturnType<typeof listMembers>>['items'][number]

export async function findMemberWithProfile(
  tx: Tx<DB>,
  organizationId: string,
  userId: string,
): Promise<MemberWithProfile | undefined> {
  return withProfile(
    tx.selectFrom('members').where('members.organizationId', '=', organizationId).where('members.userId', '=', userId),
  ).executeTakeFirst()
}

function withProfile(members: SelectQueryBuilder<DB, 'members', object>) {
  return members
    .leftJoin('users', 'users.userId', 'members.userId')
    .selectAll('members')
    .select([
      'users.email',
      'users.emailVerifiedAt',
      'users.displayName',
      'users.firstName',
      'users.lastName',
      'users.avatarUrl',
      'users.lastSignInAt',
      'users.totpConfirmedAt',
    ])
}
