import type { Database, Session } from './db.ts'
import type { ClaimedRun } from './job-claim.ts'
import type { JobInserter } from './job-insert.ts'
import type { JobLease } from './job-lease.ts'
import type { Logger } from './log.ts'
import { currentTraceparent } from './telemetry.ts'
import type { CommitFn, Job, JobContext } from './types.ts'
import { Unit } from './unit.ts'

export interface JobContextOptions {
  serviceName: string
  database: Database<never>
  app: unknown
  log: Logger
  inserter: JobInserter
  lease: JobLease
  /** Aborts when the process can wait for its runs no longer. */
  stopping: AbortSignal
  /** Called after a commit that wrote events or asked for jobs. */
  onCommitted(unit: Unit): void
  now(): number
}

/** What a job's function is given for one run. Throws ZodError when what the row holds is not what the job takes. */
export function jobContext(
  job: Job<never, never, never>,
  run: ClaimedRun,
  options: JobContextOptions,
): JobContext<never, never, never> {
  const { database, lease } = options
  const { organizationId } = run.data
  const signal = AbortSignal.any([AbortSignal.timeout(run.expire_seconds * 1000), options.stopping])
  const traceparent = currentTraceparent()
  const data = job.schema.parse(run.data.data)
  const log = options.log.child({ job: job.name, jobId: run.id })
  return contextOf(run.data.correlationId)

  function contextOf(correlationId: string): JobContext<never, never, never> {
    const committing =
      (guard: (session: Session<never>) => void): CommitFn<never> =>
      async (work) => {
        const unit = new Unit(options.serviceName, options.now)
        const result = await database.transaction(organizationId, async (session) => {
          guard(session)
          const value = await work(session.tx, unit.tools({ organizationId, correlationId, causationId: run.id }))
          unit.flush(session, options.inserter)
          return value
        })
        options.onCommitted(unit)
        return result
      }
    return {
      data,
      organizationId,
      app: options.app as never,
      read: (work) => database.read(organizationId, (session) => work(session.tx)),
      commit: committing((session) => lease.hold(session, job.name, run)),
      async finish(work) {
        const result = await committing((session) => lease.end(session, job.name, run))(work)
        run.ended = true
        return result
      },
      attempt: run.retry_count + 1,
      attempts: run.retry_limit + 1,
      signal,
      jobId: run.id,
      correlationId,
      onBehalfOf: contextOf,
      traceHeaders: traceparent === undefined ? {} : { traceparent },
      log,
    }
  }
}
