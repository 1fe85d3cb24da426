import type { PgBoss } from 'pg-boss'
import type { Database } from './db.ts'
import { describe } from './errors.ts'
import type { JobQueue } from './job-queue.ts'
import type { Logger } from './log.ts'
import { jobSchemaOf } from './schema.ts'

const heartbeatMs = 4_000

/** What pg-boss writes on a run whose worker was not heard of. */
const lapsed = { value: { message: 'job heartbeat timeout' } }

/** Renews the leases of all runs under way, so that pg-boss hands none of them out again; returns how to stop. */
export function startHeartbeat(
  boss: PgBoss,
  queues: readonly JobQueue[],
  { serviceName, database, log }: { serviceName: string; database: Database<never>; log: Logger },
): () => void {
  const names = queues.map((queue) => queue.name)
  const dueNow = `update ${jobSchemaOf(serviceName)}.job_common set start_after = now()
    where name = any($1::text[]) and state = 'retry' and start_after > now() and output @> $2::jsonb`

  /** A worker that died is our trouble: what it had cost a try, lest a job kills them all, but need not wait longer than that. */
  async function hurry(): Promise<void> {
    try {
      await database.query(dueNow, [names, JSON.stringify(lapsed)])
    } catch (error) {
      log.warn({ err: describe(error) }, 'runs whose worker died could not be called back')
    }
  }

  async function beat(): Promise<void> {
    for (const queue of queues) {
      const runs = [...queue.running.values()]
      if (runs.length === 0) continue
      try {
        await boss.touch(
          queue.name,
          runs.map((run) => ({ id: run.id, retryCount: run.retry_count })),
        )
      } catch (error) {
        log.warn({ err: describe(error), job: queue.name }, 'a heartbeat could not be written')
      }
    }
  }
  const timer = setInterval(() => {
    void beat()
    void hurry()
  }, heartbeatMs)
  return () => clearInterval(timer)
}
