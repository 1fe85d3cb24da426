import type { Database, Session } from './db.ts'
import { describe } from './errors.ts'
import type { Logger } from './log.ts'
import { jobSchemaOf, schemaOf } from './schema.ts'

/** For the statement that claims runs of jobs that act outside: whether the organization of `j` is closed. */
export const isOfClosed = (serviceName: string) => `exists (
  select 1 from ${schemaOf(serviceName)}.identity_organizations o
  where o.organization_id = (j.data->>'organizationId')::uuid and o.status = 'inactive')`

/** True when the open transaction's organization is closed, and stays so until the transaction ends. */
export async function holdClosed(session: Session<never>, organizationId: string): Promise<boolean> {
  const rows = await session.query(
    `select 1 from identity_organizations where organization_id = $1 and status = 'inactive' for share`,
    [organizationId],
  )
  return rows.length > 0
}

/** Most jobs that one transaction lets go on; the rest is found by the next look, an hour later at most. */
const mostReleased = 5_000

/**
 * Puts the held jobs of an organization, `$1`, back into their queues with the data and the chain they had, unless it is closed. A run of
 * the same key that waits already will see what theirs would have seen. Answers how many in `released`.
 */
export const releaseHeldStatement = (serviceName: string) => `
  with held as materialized (
    select d.id, d.handler, d.key, d.payload from dead_letters d
    join ${jobSchemaOf(serviceName)}.queue q on q.name = d.handler
    where d.organization_id = $1 and d.state = 'held'
      and exists (select 1 from identity_organizations where organization_id = $1 and status <> 'inactive')
    order by d.first_at, d.id limit ${mostReleased} for update of d skip locked
  ), settled as (
    update dead_letters d set state = 'redriven', last_at = now(), settled_by = 'its organization is open again'
    from held where d.organization_id = $1 and d.id = held.id
  ), inserted as (
    insert into ${jobSchemaOf(serviceName)}.job_common (name, data, singleton_key, expire_seconds, deletion_seconds, keep_until,
      retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds)
    select q.name, held.payload::jsonb, nullif(held.key, ''), q.expire_seconds, q.deletion_seconds, now() + q.retention_seconds * interval '1s',
      q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max, q.policy, q.dead_letter, q.heartbeat_seconds
    from held join ${jobSchemaOf(serviceName)}.queue q on q.name = held.handler
    on conflict do nothing
  )
  select count(*)::int as released from held`

/** Looks for held jobs whose organization has opened without this service having let them go on: it was told in the very moment, say. */
export async function releaseForgotten(
  serviceName: string,
  system: Database<never>,
  database: Database<never>,
  log: Logger,
): Promise<void> {
  const waiting = await system.query<{ organization_id: string }>(
    `select distinct organization_id from dead_letters where state = 'held' limit 1000`,
  )
  for (const { organization_id: organizationId } of waiting) {
    try {
      for (let released = mostReleased; released === mostReleased; ) {
        const rows = await database.transaction(organizationId, (session) =>
          session.query<{ released: number }>(releaseHeldStatement(serviceName), [organizationId]),
        )
        released = rows[0]?.released ?? 0
      }
    } catch (error) {
      log.warn({ err: describe(error), organizationId }, 'held jobs could not be let go on; it is tried again in an hour')
    }
  }
}
