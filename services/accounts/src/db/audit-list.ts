import type { Actor } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { type RawBuilder, sql } from 'kysely'
import type { DB } from './types.ts'

export interface AuditFilter {
  kind?: 'change' | 'read' | undefined
  actor?: string | undefined
  action?: string | undefined
  resourceType?: string | undefined
  resourceId?: string | undefined
  /** Not before, and before. */
  from?: Date | undefined
  to?: Date | undefined
}

/** A place in the list, which goes from the latest to the oldest. */
export interface AuditPlace {
  at: Date
  entryId: string
}

export interface ListedEntry {
  kind: 'change' | 'read'
  entryId: string
  requestId: string
  actorKind: Actor['kind']
  actorId: string
  ip: string | null
  userAgent: string | null
  at: Date
  action: string
  resourceType: string
  resourceId: string | null
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  reason: string | null
  /** Rows that were read; null for a change. */
  rowCount: number | null
  /** Its place in the chain; null for a read, and for a change of the last moments. */
  sequence: string | null
}

function conditions(organizationId: string, filter: AuditFilter, after: AuditPlace | undefined): RawBuilder<unknown> {
  const all = [sql`t.organization_id = ${organizationId}`]
  if (filter.actor !== undefined) all.push(sql`t.actor_id = ${filter.actor}`)
  if (filter.action !== undefined) all.push(sql`t.action = ${filter.action}`)
  if (filter.resourceType !== undefined) all.push(sql`t.resource_type = ${filter.resourceType}`)
  if (filter.resourceId !== undefined) all.push(sql`t.resource_id = ${filter.resourceId}`)
  if (filter.from) all.push(sql`t.at >= ${filter.from}`)
  if (filter.to) all.push(sql`t.at < ${filter.to}`)
  if (after) all.push(sql`(t.at, t.entry_id) < (${after.at}, ${after.entryId}::uuid)`)
  return sql.join(all, sql` and `)
}

const shared = sql`t.entry_id, t.request_id, t.actor_kind, t.actor_id, t.ip, t.user_agent, t.at, t.action, t.resource_type, t.resource_id`

/** Changes and reads, the latest first. Each side is cut to the limit before they are put together. */
export async function listAudit(
  tx: Tx<DB>,
  organizationId: string,
  filter: AuditFilter,
  slice: { after?: AuditPlace | undefined; limit: number },
): Promise<ListedEntry[]> {
  const where = conditions(organizationId, filter, slice.after)
  const end = sql`order by t.at desc, t.entry_id desc limit ${slice.limit}`
  const changes = sql`(select 'change' as kind, ${shared}, t.before, t.after, t.reason, null::int as row_count, c.sequence
    from audit_entries t left join audit_chain c on c.organization_id = t.organization_id and c.entry_id = t.entry_id
    where ${where} ${end})`
  const reads = sql`(select 'read' as kind, ${shared}, null::json as before, null::json as after, null as reason, t.row_count, null::bigint as sequence
    from data_access t where ${where} ${end})`
  const parts = [...(filter.kind === 'read' ? [] : [changes]), ...(filter.kind === 'change' ? [] : [reads])]
  const { rows } = await sql<ListedEntry>`
    select * from (${sql.join(parts, sql` union all `)}) as t ${end}`.execute(tx)
  return rows
}

/** How many there are, counted up to `atMost` + 1. */
export async function countAudit(tx: Tx<DB>, organizationId: string, filter: AuditFilter, atMost: number): Promise<number> {
  const where = conditions(organizationId, filter, undefined)
  const parts = [
    ...(filter.kind === 'read' ? [] : [sql`(select 1 from audit_entries t where ${where} limit ${atMost + 1})`]),
    ...(filter.kind === 'change' ? [] : [sql`(select 1 from data_access t where ${where} limit ${atMost + 1})`]),
  ]
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from (${sql.join(parts, sql` union all `)}) as t`.execute(tx)
  return rows[0]?.count ?? 0
}
