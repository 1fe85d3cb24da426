import { isOfClosed } from './held-jobs.ts'
import type { JobPayload } from './job-insert.ts'
import { jobSchemaOf } from './schema.ts'
import type { JobPolicy, JobSettings } from './types.ts'

/** One try of a job, as this process claimed it: the columns of its row. */
export interface ClaimedRun {
  id: string
  singleton_key: string | null
  retry_count: number
  retry_limit: number
  expire_seconds: number
  data: JobPayload
  /** Of a job that acts outside: its organization was closed when it was claimed. */
  closed?: boolean
  /** Its last commit has completed it. */
  ended?: boolean
}

/**
 * Claims due runs of one queue: `$1` its name, `$2` how many at most, `$3` organizations that
 * have their share already. It is our own statement, because pg-boss' batch fetch of a keyed
 * queue fails as a whole while one of its keys is running (docs/decisions/0004).
 */
export function claimStatement(serviceName: string, { policy = 'standard', outward = false }: JobSettings): string {
  const schema = jobSchemaOf(serviceName)
  return `
    with due as (
      select j.id, j.singleton_key, j.created_on, j.priority from ${schema}.job_common j
      where j.name = $1 and j.state < 'active' and not j.blocked and j.start_after <= now() ${freeKeys(schema, policy)}
        and not coalesce(j.data->>'organizationId' = any($3::text[]), false)
      order by j.priority desc, j.created_on
      limit $2
      for update of j skip locked
    ), first as (
      select id from (
        select id, row_number() over (partition by coalesce(singleton_key, id::text) order by priority desc, created_on, id) as place from due
      ) ranked where place = 1
    )
    update ${schema}.job_common j
    set state = 'active', started_on = now(), heartbeat_on = now(), retry_count = case when started_on is not null then retry_count + 1 else retry_count end
    from first where j.name = $1 and j.id = first.id
    returning j.id, j.singleton_key, j.retry_count, j.retry_limit, j.expire_seconds, j.data${outward ? `, ${isOfClosed(serviceName)} as closed` : ''}`
}

/** Leaves out keys that are taken. Each policy is written out, because pg-boss' index for it names the policy: any other wording scans the table. */
function freeKeys(schema: string, policy: JobPolicy): string {
  switch (policy) {
    case 'standard':
      return ''
    case 'singleton':
      return `and not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'active' and a.policy = 'singleton' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, ''))`
    case 'stately':
      // A failed run comes before the one that waits behind it: two of them could not both wait for a next try.
      return `and not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'active' and a.policy = 'stately' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, ''))
        and (j.state <> 'created' or not exists (
          select 1 from ${schema}.job_common a
          where a.name = $1 and a.state = 'retry' and a.policy = 'stately' and coalesce(a.singleton_key, '') = coalesce(j.singleton_key, '')))`
    case 'key_strict_fifo':
      return `and not exists (
          select 1 from ${schema}.job_common b
          where b.name = $1 and b.singleton_key = j.singleton_key and b.policy = 'key_strict_fifo' and b.id <> j.id
            and b.state in ('active', 'retry', 'failed'))
        and not exists (
          select 1 from ${schema}.job_common b
          where b.name = $1 and b.singleton_key = j.singleton_key and b.policy = 'key_strict_fifo' and b.state < 'active' and not b.blocked
            and b.state = 'created' and j.state = 'created' and (b.created_on, b.id) < (j.created_on, j.id))`
  }
}
