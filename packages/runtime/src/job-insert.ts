import type { Session } from './db.ts'
import { indexText } from './index-text.ts'
import { jobSchemaOf } from './schema.ts'
import type { Job, LaterOptions } from './types.ts'

/** A job run that a commit asks for. */
export interface JobRequest {
  queue: string
  organizationId: string
  data: unknown
  options: LaterOptions
  correlationId: string
  causationId: string | undefined
  traceparent: string | undefined
}

/** What a job row carries beside the job's own data. */
export interface JobPayload {
  organizationId: string
  correlationId: string
  causationId?: string
  traceparent?: string
  data: unknown
}

export type JobInserter = (session: Session<never>, requests: readonly JobRequest[]) => void

const payloadOf = (request: JobRequest): JobPayload => ({
  organizationId: request.organizationId,
  correlationId: request.correlationId,
  ...(request.causationId === undefined ? {} : { causationId: request.causationId }),
  ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
  data: request.data,
})

/**
 * Writes job rows in the caller's transaction. pg-boss' own insert drops a second waiting run of a `stately` key without locking
 * the first, so a run that starts between that and our commit would miss what the commit wrote, and nobody would run again.
 * Touching the waiting row instead locks it: the fetch (SKIP LOCKED) leaves it alone until this commit is visible.
 */
export function jobInserter(serviceName: string, jobs: readonly Job<never, never, never>[]): JobInserter {
  const stately = new Set(jobs.filter((job) => job.settings.policy === 'stately').map((job) => job.name))
  const schema = jobSchemaOf(serviceName)
  const insert = (conflict: string) => `
    insert into ${schema}.job_common (name, data, priority, start_after, singleton_key, expire_seconds, deletion_seconds, keep_until,
      retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds)
    select q.name, r.data, coalesce(r.priority, 0), coalesce(r.start_after, now()), r.key, q.expire_seconds, q.deletion_seconds,
      coalesce(r.start_after, now()) + q.retention_seconds * interval '1s', q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max,
      q.policy, q.dead_letter, q.heartbeat_seconds
    from json_to_recordset($1::json) as r (queue text, data jsonb, priority int, start_after timestamptz, key text)
    join ${schema}.queue q on q.name = r.queue and (q.policy = 'stately') = $2
    ${conflict}`
  const plain = insert('')
  const merging = insert(`on conflict (name, state, coalesce(singleton_key, '')) where state <= 'active' and policy = 'stately'
    do update set start_after = least(job_common.start_after, excluded.start_after)`)
  return (session, requests) => {
    if (requests.length === 0) return
    // One statement may touch a waiting row only once: of several requests for one key, the first speaks for all.
    const seen = new Set<string>()
    const rows = requests.filter((request) => {
      if (request.options.key === undefined) return true
      const id = `${request.queue}\n${request.options.key}`
      if (seen.has(id) && stately.has(request.queue)) return false
      seen.add(id)
      return true
    })
    const list = JSON.stringify(
      rows.map((request) => ({
        queue: request.queue,
        data: payloadOf(request),
        priority: request.options.priority ?? null,
        start_after: request.options.startAfter?.toISOString() ?? null,
        key: request.options.key === undefined ? null : indexText(request.options.key),
      })),
    )
    const kinds = new Set(rows.map((request) => stately.has(request.queue)))
    if (kinds.has(false)) session.send(plain, [list, false])
    if (kinds.has(true)) session.send(merging, [list, true])
  }
}
