import { PgBoss } from 'pg-boss'
import type { Database } from './db.ts'
import { describe } from './errors.ts'
import { startDeadQueue } from './job-dead-queue.ts'
import { observeJobs } from './job-gauges.ts'
import { startHeartbeat } from './job-heartbeat.ts'
import { type JobInserter, jobInserter } from './job-insert.ts'
import { jobLease } from './job-lease.ts'
import { startJobQueue } from './job-queue.ts'
import type { Logger } from './log.ts'
import { deadQueue, jobSchemaOf } from './schema.ts'
import type { Job } from './types.ts'
import type { Unit } from './unit.ts'

export interface JobRunner {
  inserter: JobInserter
  /** Looks for due runs now; `delayMs` later for those that wait that long. */
  wake(queue: string, delayMs?: number): void
  /** Nothing is running here and nothing is due. */
  idle(): Promise<boolean>
  stop(graceMs: number): Promise<void>
}

export interface JobRunnerOptions {
  serviceName: string
  jobs: readonly Job<never, never, never>[]
  database: Database<never>
  app: unknown
  log: Logger
  /** Called after a commit that wrote events or asked for jobs. */
  onCommitted(unit: Unit): void
  now(): number
  pollMs: number
}

/**
 * Runs a service's jobs. The queues are pg-boss' (tables, policies, heartbeats, retries, expiry); claiming runs and adding them are our
 * own statements (docs/decisions/0004).
 */
export async function startJobs(options: JobRunnerOptions): Promise<JobRunner> {
  const { serviceName, database, log } = options
  const schema = jobSchemaOf(serviceName)
  const boss = await startBoss(schema, database, log)
  const inserter = jobInserter(serviceName, options.jobs)
  const abort = new AbortController()
  const shared = { ...options, boss, inserter, lease: jobLease(serviceName), stopping: abort.signal }
  const queues = options.jobs.map((job) => startJobQueue(job, shared))
  const dead = startDeadQueue(shared)
  const stopHeartbeat = startHeartbeat(boss, queues, options)
  const stopGauges = observeJobs({ serviceName, queues, database, log })

  return {
    inserter,
    wake(name, delayMs = 0) {
      const queue = queues.find((candidate) => candidate.name === name)
      if (delayMs <= 0) queue?.wake()
      else queue?.wakeIn(delayMs + 2)
    },
    async idle() {
      if (!queues.every((queue) => queue.idle())) return false
      const due = await database.query(
        `select 1 from ${schema}.job_common where state < 'completed' and name <> '${deadQueue}' and start_after < now() + interval '30 seconds' limit 1`,
      )
      return due.length === 0
    },
    async stop(graceMs) {
      // No new runs from here on; those under way may finish, then their signal aborts.
      for (const queue of queues) queue.stop()
      dead.stop()
      const deadline = performance.now() + graceMs
      const noMore = () => queues.every((queue) => !queue.busy())
      while (!noMore() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
      abort.abort(new Error('The process is stopping.'))
      stopHeartbeat()
      await dead.busy()
      stopGauges()
      await boss.stop({ graceful: false, close: false })
    },
  }
}

/** pg-boss over our own connections: it looks after the queues, and neither makes its tables nor runs anything. */
async function startBoss(schema: string, database: Database<never>, log: Logger): Promise<PgBoss> {
  const boss = new PgBoss({
    db: { executeSql: async (text, values) => ({ rows: await database.query<Record<string, unknown>>(text, values ?? []) }) },
    schema,
    migrate: false,
    schedule: false,
    supervise: true,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    maintenanceIntervalSeconds: 600,
    reindex: false,
    monitorVacuum: false,
  })
  boss.on('error', (error) => log.warn({ err: describe(error) }, 'the job queue reported an error'))
  await boss.start()
  return boss
}
