import type { Month } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

/**
 * Counts the use of an organization's keys, each report once: towards the keys' own totals, and as calls of a month. No revision and no
 * event: who may do what stays as it is.
 */
export async function addKeyUses(
  tx: Tx<DB>,
  organizationId: string,
  uses: readonly { reportId: string; keyId: string; requests: number; lastUsedAt: string; month: Month }[],
): Promise<void> {
  await sql`
    with told as materialized (
      select u.* from unnest(${uses.map((use) => use.reportId)}::uuid[], ${uses.map((use) => use.keyId)}::text[],
        ${uses.map((use) => use.requests)}::bigint[], ${uses.map((use) => use.lastUsedAt)}::timestamptz[], ${uses.map((use) => use.month)}::date[])
        as u (report_id, key_id, requests, last_used_at, month)
      where exists (select 1 from api_keys k where k.organization_id = ${organizationId} and k.key_id = u.key_id)
    ), fresh as (
      insert into usage_logs (organization_id, id, usage_type, month, quantity, key_id, occurred_at)
      select ${organizationId}, report_id, 'api_call', month, requests, key_id, last_used_at from told
      on conflict do nothing
      returning id
    ), sums as (
      select key_id, sum(requests) as requests, max(last_used_at) as last_used_at from told
      where report_id in (select id from fresh) group by key_id order by key_id
    )
    update api_keys k set total_requests = k.total_requests + s.requests, last_used_at = greatest(k.last_used_at, s.last_used_at)
    from sums s where k.organization_id = ${organizationId} and k.key_id = s.key_id`.execute(tx)
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
