import type { Database } from './db.ts'
import { describe } from './errors.ts'
import { observe } from './gauges.ts'
import type { JobQueue } from './job-queue.ts'
import type { Logger } from './log.ts'
import { jobSchemaOf } from './schema.ts'

export interface JobGaugesOptions {
  serviceName: string
  queues: readonly JobQueue[]
  database: Database<never>
  log: Logger
}

const sampleMs = 5_000

/** Shows how many runs are under way and how late the waiting ones are; returns how to stop. */
export function observeJobs({ serviceName, queues, database, log }: JobGaugesOptions): () => void {
  const oldest = new Map<string, number>()

  async function sampleOldest(): Promise<void> {
    try {
      const due = await database.query<{ name: string; age: number }>(
        `select name, extract(epoch from now() - min(start_after))::float8 as age from ${jobSchemaOf(serviceName)}.job_common
         where state < 'active' and not blocked and start_after <= now() group by name`,
      )
      oldest.clear()
      for (const row of due) oldest.set(row.name, row.age)
    } catch (error) {
      log.info({ err: describe(error) }, 'the age of waiting jobs could not be read')
    }
  }

  const sampler = setInterval(() => void sampleOldest(), sampleMs)
  const perQueue = (valueOf: (queue: JobQueue) => number) => () =>
    queues.map((queue) => ({ value: valueOf(queue), attributes: { service: serviceName, job: queue.name } }))
  const gauges = [
    observe(
      'parley.jobs.running',
      'Job runs under way.',
      perQueue((queue) => queue.running.size),
    ),
    observe(
      'parley.jobs.oldest_due',
      'Seconds since the oldest waiting run of a job was due.',
      perQueue((queue) => oldest.get(queue.name) ?? 0),
    ),
  ]
  return () => {
    clearInterval(sampler)
    for (const stopGauge of gauges) stopGauge()
  }
}
