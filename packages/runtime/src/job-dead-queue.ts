import type { JobWithMetadata, PgBoss } from 'pg-boss'
import type { Database, Session } from './db.ts'
import { recordDeadJob } from './dead-letters.ts'
import { describe } from './errors.ts'
import type { JobPayload } from './job-insert.ts'
import type { Logger } from './log.ts'
import { deadQueue, jobSchemaOf } from './schema.ts'
import { meters } from './telemetry.ts'

export interface DeadQueueOptions {
  serviceName: string
  database: Database<never>
  boss: PgBoss
  log: Logger
  pollMs: number
}

/** Moves jobs that pg-boss gave up on (their worker died or hung each time) into the dead letters. */
export function startDeadQueue({ serviceName, database, boss, log, pollMs }: DeadQueueOptions) {
  let busy: Promise<void> = Promise.resolve()

  async function look(): Promise<void> {
    const claimed = await boss.fetch<JobPayload>(deadQueue, { batchSize: 20, includeMetadata: true })
    for (const job of claimed) {
      // One that cannot be recorded is tried again by the queue's own settings, and holds up none of the others.
      await record(job).catch((error: unknown) =>
        log.warn({ err: describe(error), jobId: job.id }, 'a given-up job could not be recorded'),
      )
    }
  }

  async function record(job: JobWithMetadata<JobPayload>): Promise<void> {
    const source = job as unknown as { sourceName?: string; sourceId?: string; sourceRetryCount?: number }
    await database.transaction(job.data.organizationId, async (session) => {
      await recordDeadJob(session, {
        job: source.sourceName ?? deadQueue,
        jobId: source.sourceId ?? job.id,
        key: (job as { singletonKey?: string | null }).singletonKey ?? '',
        payload: job.data,
        error: { name: 'Expired', code: undefined, message: 'Its worker died or hung on every try.' },
        errorClass: 'bug',
        attempts: (source.sourceRetryCount ?? 0) + 1,
      })
      // A failed run of a strictly ordered key blocks that key; from here on the dead letter stands for it.
      await session.query(
        `update ${jobSchemaOf(serviceName)}.job_common set state = 'completed' where name = $1 and id = $2 and state = 'failed'`,
        [source.sourceName, source.sourceId],
      )
      await boss.complete(deadQueue, { id: job.id, retryCount: job.retryCount }, null, { db: sessionDb(session) })
    })
    meters.deadLetters().add(1, { service: serviceName, handler: source.sourceName ?? deadQueue })
  }

  const timer = setInterval(() => {
    busy = busy.then(look).catch((error: unknown) => log.warn({ err: describe(error) }, 'given-up jobs could not be recorded'))
  }, pollMs * 2)
  return {
    stop: () => clearInterval(timer),
    /** Resolves when no look is under way. */
    busy: () => busy,
  }
}

/** The open transaction, as pg-boss takes it. */
export const sessionDb = (session: Session<never>) => ({
  executeSql: async (text: string, values?: unknown[]) => ({
    rows: await session.query<Record<string, unknown>>(text, values ?? []),
  }),
})
