import { describe } from './errors.ts'
import { type ClaimedRun, claimStatement } from './job-claim.ts'
import { type JobRunOptions, performRun } from './job-run.ts'
import { decideShare } from './job-share.ts'
import { openSettler } from './job-settle.ts'
import { meters } from './telemetry.ts'
import type { Job } from './types.ts'

/** One job's queue, as this process works on it. */
export interface JobQueue {
  readonly name: string
  /** Runs under way here, by id. */
  readonly running: ReadonlyMap<string, ClaimedRun>
  /** Looks for due runs now. */
  wake(): void
  /** Looks for due runs after that time. */
  wakeIn(delayMs: number): void
  /** Runs are under way, or just being claimed. */
  busy(): boolean
  /** Not busy, and the last look found nothing. */
  idle(): boolean
  /** Claims no more; those under way go on. */
  stop(): void
}

export interface JobQueueOptions extends Omit<JobRunOptions, 'settle' | 'wakeIn'> {
  pollMs: number
}

const mostClaimedAtOnce = 32

/** Claims due runs of a job, as many as may run at once, and runs them: when woken, when a run ends, and every now and then. */
export function startJobQueue(job: Job<never, never, never>, options: JobQueueOptions): JobQueue {
  const { serviceName, database, log } = options
  const concurrency = job.settings.concurrency ?? 8
  const claim = claimStatement(serviceName, job.settings)
  const running = new Map<string, ClaimedRun>()
  const settler = openSettler(options.boss, job.name)
  const runOptions = { ...options, settle: settler.settle, wakeIn }
  /** There may be more due than the last look found. */
  let wanted = true
  /** The last look left out organizations that had their share. */
  let passedOver = false
  let fetching = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  async function runOne(run: ClaimedRun): Promise<void> {
    const started = performance.now()
    const outcome = await performRun(job, run, runOptions)
    // After a lost lease a later try of the same job may run here already: that entry is not ours.
    if (running.get(run.id) === run) running.delete(run.id)
    // Its end may have freed its key for the next run, or a place in its organization's share.
    if (run.singleton_key !== null || passedOver) wanted = true
    meters.jobRuns().record((performance.now() - started) / 1000, { service: serviceName, job: job.name, outcome })
    pump()
  }

  function pump(): void {
    if (stopped || fetching || !wanted) return
    const share = decideShare(
      [...running.values()].map((run) => run.data.organizationId),
      concurrency,
    )
    if (share.room === 0) return
    passedOver = share.full.length > 0
    wanted = false
    fetching = true
    const room = Math.min(share.room, mostClaimedAtOnce)
    database
      .query<ClaimedRun>(claim, [job.name, room, share.full])
      .then((claimed) => {
        for (const run of claimed) {
          running.set(run.id, run)
          void runOne(run)
        }
        if (claimed.length > 0) wanted = true
      })
      .catch((error: unknown) => {
        // Two replicas claimed one key at once: the loser's statement changed nothing, the next look will do.
        if (describe(error).code !== '23505') log.warn({ err: describe(error), job: job.name }, 'jobs could not be fetched')
        wakeIn(200)
      })
      .finally(() => {
        fetching = false
        pump()
      })
  }

  function wake(): void {
    wanted = true
    pump()
  }
  function wakeIn(delayMs: number): void {
    // Timers are for precision; the poll finds what is due in hours, and no timer holds more than 24 days.
    if (stopped || delayMs > 3_600_000) return
    const early = setTimeout(wake, delayMs)
    early.unref()
  }
  function poll(): void {
    timer = setTimeout(
      () => {
        wake()
        poll()
      },
      options.pollMs * (0.8 + Math.random() * 0.4),
    )
  }
  poll()
  pump()
  const busy = () => running.size > 0 || fetching || settler.busy()
  return {
    name: job.name,
    running,
    wake,
    wakeIn,
    busy,
    idle: () => !busy() && !wanted,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
