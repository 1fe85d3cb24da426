import { crashPoint } from './crash.ts'
import { recordHeldJob } from './dead-letters.ts'
import { holdClosed } from './held-jobs.ts'
import type { ClaimedRun } from './job-claim.ts'
import { jobContext, type JobContextOptions } from './job-context.ts'
import { type FailureOptions, settleFailure } from './job-failures.ts'
import { inSpan, SpanKind } from './telemetry.ts'
import type { Job } from './types.ts'

export interface JobRunOptions extends JobContextOptions, FailureOptions {
  /** Completes a run whose own commits did not. */
  settle(run: ClaimedRun): Promise<void>
}

/** Takes a claimed run to its end and says which, for the meter: done, held for a closed organization, or a failure's. Never rejects. */
export async function performRun(job: Job<never, never, never>, run: ClaimedRun, options: JobRunOptions): Promise<string> {
  try {
    if (run.closed && (await hold(job, run, options))) return 'held'
    await inSpan(
      `job ${job.name}`,
      { kind: SpanKind.CONSUMER, parent: run.data.traceparent, attributes: { 'parley.job.id': run.id } },
      async () => {
        crashPoint('job.after_lease')
        await job.run(jobContext(job, run, options))
      },
    )
    crashPoint('job.before_settle')
    if (!run.ended) await options.settle(run)
    return 'done'
  } catch (error) {
    return settleFailure(job.name, run, error, options)
  }
}

/** Ends a run of a closed organization and keeps what it was to do; false when the organization has opened meanwhile. */
async function hold(job: Job<never, never, never>, run: ClaimedRun, { database, lease, log }: JobRunOptions): Promise<boolean> {
  const { organizationId } = run.data
  const held = await database.transaction(organizationId, async (session) => {
    if (!(await holdClosed(session, organizationId))) return false
    lease.end(session, job.name, run)
    const once = job.settings.policy === 'stately'
    await recordHeldJob(session, { job: job.name, jobId: run.id, key: run.singleton_key ?? '', payload: run.data, once })
    return true
  })
  if (held) log.info({ job: job.name, jobId: run.id, organizationId }, 'a job waits: its organization is closed')
  return held
}
