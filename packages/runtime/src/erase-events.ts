import { z } from 'zod'
import type { Job, OpenContext } from './types.ts'

/**
 * The job that takes a person's events out of a service's outbox and the stream; ask for it when `customer.erased` is heard, a while
 * later (`eraseAfterMs`), so that what is still on its way because of the erasure itself (the confirmation) arrives first.
 */
export function eraseEventsJob<App extends Pick<OpenContext<unknown, unknown>, 'eraseEvents'>, DB>(): Job<
  App,
  DB,
  { keys: string[] }
> {
  return {
    name: 'erase-events',
    schema: z.strictObject({ keys: z.array(z.string().min(1).max(512)).max(2_000) }),
    settings: { policy: 'standard', retryLimit: 10, retryDelaySeconds: 10, expireSeconds: 600, concurrency: 1 },
    async run({ data, organizationId, app, log }) {
      const erased = await app.eraseEvents(organizationId, data.keys)
      log.info({ erased }, 'a person’s events were erased')
    },
  }
}

/** One minute: longer than a message takes through every service, much shorter than the day that reliability.md D39 allows. */
export const eraseAfterMs = 60_000
