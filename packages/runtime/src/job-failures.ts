import type { PgBoss } from 'pg-boss'
import type { Database } from './db.ts'
import { recordDeadJob } from './dead-letters.ts'
import { classify, describe, type ErrorClass, LeaseLost, Permanent, RetryLater } from './errors.ts'
import type { ClaimedRun } from './job-claim.ts'
import type { JobLease } from './job-lease.ts'
import type { Logger } from './log.ts'
import { jobSchemaOf } from './schema.ts'
import { meters } from './telemetry.ts'

type RetryDecision =
  /** It is not ours any more. */
  | { becomes: 'nothing' }
  | { becomes: 'dead'; errorClass: ErrorClass }
  | {
      becomes: 'retry'
      errorClass: ErrorClass
      /** The try counts against those that the job's settings allow. */
      costsTry: boolean
      /** Not before this many milliseconds; undefined: the usual back-off. */
      afterMs: number | undefined
    }

/** What becomes of a failed run: nothing, a later try, or the dead letters. `cutOff`: the process could wait for it no longer. */
export function decideRetry(
  error: unknown,
  run: Pick<ClaimedRun, 'retry_count' | 'retry_limit'>,
  cutOff: boolean,
): RetryDecision {
  if (error instanceof LeaseLost) return { becomes: 'nothing' }
  // A run that was cut off because we stop has done nothing wrong: another replica takes it up, however often that happens.
  const errorClass = cutOff ? 'outage' : classify(error)
  const outOfTries = errorClass !== 'outage' && run.retry_count >= run.retry_limit
  if (errorClass === 'permanent' || error instanceof Permanent || outOfTries) return { becomes: 'dead', errorClass }
  // Being away is no fault of the work: it costs none of its tries.
  const costsTry = errorClass !== 'outage'
  return { becomes: 'retry', errorClass, costsTry, afterMs: error instanceof RetryLater ? error.afterMs : undefined }
}

export interface FailureOptions {
  serviceName: string
  database: Database<never>
  boss: PgBoss
  log: Logger
  lease: JobLease
  /** Aborts when the process can wait for its runs no longer. */
  stopping: AbortSignal
  /** Looks for due runs of the job's queue after that time. */
  wakeIn(delayMs: number): void
}

/** Settles a failed run and says how, for the meter. Never rejects. */
export async function settleFailure(queue: string, run: ClaimedRun, error: unknown, options: FailureOptions) {
  const { log } = options
  const decision = decideRetry(error, run, options.stopping.aborted)
  if (decision.becomes === 'nothing') {
    log.info({ job: queue, jobId: run.id }, 'a run lost its lease and wrote nothing')
    return 'lease_lost'
  }
  try {
    if (decision.becomes === 'dead') await giveUp(queue, run, error, decision.errorClass, options)
    else {
      if (decision.errorClass === 'bug')
        log.error({ job: queue, jobId: run.id, attempt: run.retry_count + 1, err: error }, 'a job run failed')
      if (!decision.costsTry) await grantTry(queue, run, options)
      await tryLater(queue, run, error, decision.afterMs, options)
    }
    return decision.becomes
  } catch (failure) {
    // The database is away: the heartbeat lapses and pg-boss hands the job out again.
    log.warn({ job: queue, jobId: run.id, err: describe(failure) }, 'a failed run could not be settled; its lease will lapse')
    return 'unsettled'
  }
}

async function giveUp(
  queue: string,
  run: ClaimedRun,
  error: unknown,
  errorClass: ErrorClass,
  options: FailureOptions,
): Promise<void> {
  const { organizationId } = run.data
  await options.database.transaction(organizationId, async (session) => {
    options.lease.end(session, queue, run)
    await recordDeadJob(session, {
      job: queue,
      jobId: run.id,
      key: run.singleton_key ?? '',
      payload: run.data,
      error: describe(error),
      errorClass,
      attempts: run.retry_count + 1,
    })
  })
  meters.deadLetters().add(1, { service: options.serviceName, handler: queue })
  options.log.error({ job: queue, jobId: run.id, organizationId, err: error, errorClass }, 'a job was given up')
}

/** One more try for this run than its settings say. */
async function grantTry(queue: string, run: ClaimedRun, { serviceName, database }: FailureOptions): Promise<void> {
  await database.query(
    `update ${jobSchemaOf(serviceName)}.job_common set retry_limit = retry_limit + 1 where name = $1 and id = $2 and state = 'active' and retry_count = $3`,
    [queue, run.id, run.retry_count],
  )
}

async function tryLater(
  queue: string,
  run: ClaimedRun,
  error: unknown,
  afterMs: number | undefined,
  { serviceName, database, boss, wakeIn }: FailureOptions,
): Promise<void> {
  const { message, code } = describe(error)
  await boss.fail(queue, { id: run.id, retryCount: run.retry_count }, { message: message.slice(0, 500), code })
  if (afterMs === undefined) return
  await database.query(
    `update ${jobSchemaOf(serviceName)}.job_common set start_after = now() + $3 * interval '1 ms' where name = $1 and id = $2 and state = 'retry'`,
    [queue, run.id, afterMs],
  )
  wakeIn(afterMs + 5)
}
