import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

/** Adds to what is known of the use of an organization's keys. No revision and no event: who may do what stays as it is. */
export async function addKeyUses(
  tx: Tx<DB>,
  organizationId: string,
  uses: readonly { keyId: string; requests: number; lastUsedAt: string }[],
): Promise<void> {
  await sql`update api_keys k set total_requests = k.total_requests + v.requests,
      last_used_at = greatest(k.last_used_at, v.last_used_at)
    from (select * from unnest(${uses.map((use) => use.keyId)}::text[], ${uses.map((use) => use.requests)}::bigint[],
      ${uses.map((use) => use.lastUsedAt)}::timestamptz[]) as v (key_id, requests, last_used_at) order by key_id) v
    where k.organization_id = ${organizationId} and k.key_id = v.key_id`.execute(tx)
}

/** A person who may sign in, the organization they last worked for, and whether they have turned a second factor on. */
export async function findActivePerson(
  tx: Tx<DB>,
  userId: string,
): Promise<{ userId: string; memberOf: string | null; hasSecondFactor: boolean } | undefined> {
  const row = await tx
    .selectFrom('users')
    .select(['userId', 'lastMemberOf', 'totpConfirmedAt'])
    .where('userId', '=', userId)
    .where('status', '=', 'active')
    .executeTakeFirst()
  return row && { userId: row.userId, memberOf: row.lastMemberOf, hasSecondFactor: row.totpConfirmedAt !== null }
}
