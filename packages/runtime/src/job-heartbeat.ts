import type { PgBoss } from 'pg-boss'
import { describe } from './errors.ts'
import type { JobQueue } from './job-queue.ts'
import type { Logger } from './log.ts'

const heartbeatMs = 4_000

/** Renews the leases of all runs under way, so that pg-boss hands none of them out again; returns how to stop. */
export function startHeartbeat(boss: PgBoss, queues: readonly JobQueue[], log: Logger): () => void {
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
  const timer = setInterval(() => void beat(), heartbeatMs)
  return () => clearInterval(timer)
}
