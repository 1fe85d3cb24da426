import { mayManage, type Permission, Role } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import type { InvitationStatus } from '../rules/invitation.ts'
import type { DB, Invitations } from './types.ts'

export type Invitation = Selectable<Invitations>

export interface NewInvitation {
  invitationId: string
  email: string
  role: Role
  permissions: Permission[]
  personalMessage: string | null
  invitedBy: string | null
  tokenHash: Buffer
  expiresAt: Date
  lastSentAt: Date
}

/** Undefined when one for this address is open already. */
export async function insertInvitation(
  tx: Tx<DB>,
  organizationId: string,
  fresh: NewInvitation,
): Promise<Invitation | undefined> {
  return (
    tx
      .insertInto('invitations')
      .values({ organizationId, ...fresh })
      // Written out: as a parameter, Postgres could not tell that it means this partial index once the statement has a generic plan.
      .onConflict((conflict) =>
        conflict.columns(['organizationId', 'email']).where('status', '=', sql.lit('pending')).doNothing(),
      )
      .returningAll()
      .executeTakeFirst()
  )
}

/** Writes down that invitations to this address have run out, so that it can be invited anew. */
export async function expireInvitations(tx: Tx<DB>, organizationId: string, email: string, now: Date): Promise<void> {
  await tx
    .updateTable('invitations')
    .set({ status: 'expired' })
    .where('organizationId', '=', organizationId)
    .where('email', '=', email)
    .where('status', '=', 'pending')
    .where('expiresAt', '<=', now)
    .execute()
}

/** How many were made since then: what a stolen sign-in could send out in our name is bounded by it. */
export async function countInvitationsSince(tx: Tx<DB>, organizationId: string, since: Date): Promise<number> {
  const { count } = await tx
    .selectFrom('invitations')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('organizationId', '=', organizationId)
    .where('createdAt', '>', since)
    .executeTakeFirstOrThrow()
  return Number(count)
}

export async function findInvitationByToken(tx: Tx<DB>, organizationId: string, hash: Buffer): Promise<Invitation | undefined> {
  return tx
    .selectFrom('invitations')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('tokenHash', '=', hash)
    .executeTakeFirst()
}

/** The invitation of a token, locked until the commit: it is accepted once. */
export async function lockInvitationByToken(tx: Tx<DB>, organizationId: string, hash: Buffer): Promise<Invitation | undefined> {
  return tx
    .selectFrom('invitations')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('tokenHash', '=', hash)
    .forUpdate()
    .executeTakeFirst()
}

export async function lockInvitation(tx: Tx<DB>, organizationId: string, invitationId: string): Promise<Invitation | undefined> {
  return tx
    .selectFrom('invitations')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('invitationId', '=', invitationId)
    .forUpdate()
    .executeTakeFirst()
}

export async function updateInvitation(
  tx: Tx<DB>,
  organizationId: string,
  invitationId: string,
  change: Updateable<Invitations>,
): Promise<Invitation> {
  return tx
    .updateTable('invitations')
    .set(change)
    .where('organizationId', '=', organizationId)
    .where('invitationId', '=', invitationId)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Revokes the open invitations of somebody to roles that `role` may not give any more; null: to all. */
export async function revokeInvitationsOf(
  tx: Tx<DB>,
  organizationId: string,
  invitedBy: string,
  role: Role | null,
): Promise<void> {
  const beyond = Role.options.filter((other) => role === null || !mayManage(role, other))
  if (beyond.length === 0) return
  await tx
    .updateTable('invitations')
    .set({ status: 'revoked', revokedAt: sql<Date>`now()`, revokedBy: 'system' })
    .where('organizationId', '=', organizationId)
    .where('invitedBy', '=', invitedBy)
    .where('status', '=', 'pending')
    .where('role', 'in', beyond)
    .execute()
}

export interface InvitationFilter {
  status?: InvitationStatus | undefined
  limit: number
  offset: number
}

/** Latest first. A pending one whose time has passed counts as expired. */
export async function listInvitations(
  tx: Tx<DB>,
  organizationId: string,
  filter: InvitationFilter,
  now: Date,
): Promise<{ items: Invitation[]; total: number }> {
  let matching = tx.selectFrom('invitations').where('organizationId', '=', organizationId)
  if (filter.status === 'pending') matching = matching.where('status', '=', 'pending').where('expiresAt', '>', now)
  else if (filter.status === 'expired') {
    matching = matching.where((eb) =>
      eb.or([eb('status', '=', 'expired'), eb.and([eb('status', '=', 'pending'), eb('expiresAt', '<=', now)])]),
    )
  } else if (filter.status !== undefined) matching = matching.where('status', '=', filter.status)
  const items = await matching.selectAll().orderBy('invitationId', 'desc').limit(filter.limit).offset(filter.offset).execute()
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}
