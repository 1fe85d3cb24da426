import type { PgBoss } from 'pg-boss'
import type { ClaimedRun } from './job-claim.ts'

/** Completes runs of one queue that ended well and whose own commits did not complete them. */
export interface Settler {
  settle(run: ClaimedRun): Promise<void>
  /** Some wait to be completed. */
  busy(): boolean
}

/** Runs that end together are settled together. */
export function openSettler(boss: PgBoss, queue: string): Settler {
  let finished: { id: string; retryCount: number }[] = []
  let settling: Promise<void> | undefined
  return {
    settle(run) {
      finished.push({ id: run.id, retryCount: run.retry_count })
      settling ??= new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
        const batch = finished
        finished = []
        settling = undefined
        await boss.complete(queue, batch)
      })
      return settling
    },
    busy: () => settling !== undefined,
  }
}
