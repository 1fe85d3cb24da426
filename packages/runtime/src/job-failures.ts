import type { PgBoss } from 'pg-boss'
import type { Database } from './db.ts'
import { ourTroubleMs, recordDeadJob } from './dead-letters.ts'
import { classify, describe, type ErrorClass, isOurTrouble, LeaseLost, Permanent, RetryLater } from './errors.ts'
import type { ClaimedRun } from './job-claim.ts'
import type { JobLease } from './job-lease.ts'
import { sessionDb } from './job-dead-queue.ts'
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
  const isOurs = isOurTrouble(errorClass)
  const outOfTries = !isOurs && run.retry_count >= run.retry_limit
  if (errorClass === 'permanent' || error instanceof Permanent || outOfTries) return { becomes: 'dead', errorClass }
  // Trouble of our own is no fault of the work: it costs none of its tries, and the next waits for its end, not for times that grow.
  const afterMs = error instanceof RetryLater ? error.afterMs : isOurs ? ourTroubleMs : undefined
  return { becomes: 'retry', errorClass, costsTry: !isOurs, afterMs }
}

const settleAgainMs = 500
/** Half a minute. */
const mostSettleTries = 60

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
  if (decision.becomes === 'retry' && decision.errorClass === 'bug')
    log.error({ job: queue, jobId: run.id, attempt: run.retry_count + 1, err: error }, 'a job run failed')
  for (let tries = 0; ; tries++) {
    try {
      await settle(decision)
      return decision.becomes
    } catch (failure) {
      // The database is away, say. Its lease would lapse and pg-boss hand it out again, much later than the trouble may last.
      const patient = tries < mostSettleTries && isOurTrouble(classify(failure)) && !options.stopping.aborted
      if (!patient) {
        log.warn({ job: queue, jobId: run.id, err: describe(failure) }, 'a failed run could not be settled; its lease will lapse')
        return 'unsettled'
      }
      await new Promise((resolve) => setTimeout(resolve, settleAgainMs).unref())
    }
  }

  async function settle(known: Exclude<RetryDecision, { becomes: 'nothing' }>): Promise<void> {
    if (known.becomes === 'dead') return giveUp(queue, run, error, known.errorClass, options)
    return tryLater(queue, run, error, known, options)
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

/** In one transaction: between its parts, a run would wait for a time that nobody meant. */
async function tryLater(
  queue: string,
  run: ClaimedRun,
  error: unknown,
  { costsTry, afterMs }: Extract<RetryDecision, { becomes: 'retry' }>,
  { serviceName, database, boss, wakeIn }: FailureOptions,
): Promise<void> {
  const { message, code } = describe(error)
  const jobs = `${jobSchemaOf(serviceName)}.job_common`
  await database.transaction(null, async (session) => {
    // One more try for this run than its settings say.
    if (!costsTry)
      session.send(
        `update ${jobs} set retry_limit = retry_limit + 1 where name = $1 and id = $2 and state = 'active' and retry_count = $3`,
        [queue, run.id, run.retry_count],
      )
    await boss.fail(
      queue,
      { id: run.id, retryCount: run.retry_count },
      { message: message.slice(0, 500), code },
      { db: sessionDb(session) },
    )
    if (afterMs !== undefined)
      session.send(
        `update ${jobs} set start_after = now() + $3 * interval '1 ms' where name = $1 and id = $2 and state = 'retry'`,
        [queue, run.id, afterMs],
      )
  })
  if (afterMs !== undefined) wakeIn(afterMs + 5)
}
