import type { Session } from './db.ts'
import { LeaseLost } from './errors.ts'
import { failUnless, isFailedGuard } from './guard.ts'
import type { ClaimedRun } from './job-claim.ts'
import { jobSchemaOf } from './schema.ts'

/** The right of one try of a job to write, checked inside its own commits. */
export interface JobLease {
  /** The commit fails with LeaseLost unless this try still holds the job; the row stays locked until it ends. */
  hold(session: Session<never>, queue: string, run: ClaimedRun): void
  /** As `hold`, and the job is completed by the same commit. */
  end(session: Session<never>, queue: string, run: ClaimedRun): void
}

export function jobLease(serviceName: string): JobLease {
  const schema = jobSchemaOf(serviceName)
  const ofThisTry = `name = $1 and id = $2 and state = 'active' and retry_count = $3`
  return {
    hold: guardBy(`select 1 from ${schema}.job_common where ${ofThisTry} for no key update`),
    end: guardBy(
      `update ${schema}.job_common set state = 'completed', completed_on = now(), output = null where ${ofThisTry} returning 1`,
    ),
  }
}

/** `held` finds the run's row, if it is still this try's. */
function guardBy(held: string): JobLease['hold'] {
  const guard = `with held as materialized (${held}) ${failUnless('exists (select 1 from held)')}`
  return (session, queue, run) =>
    session.send(guard, [queue, run.id, run.retry_count], (error) =>
      isFailedGuard(error) ? new LeaseLost(`Run ${run.retry_count + 1} of job ${run.id} no longer holds it.`) : error,
    )
}
