import { ExternalId, Id } from '@parley/contracts'
import { z } from 'zod'
import { job } from '../app.ts'
import { eraseUnsortedBodies } from '../db/receipts.ts'

const receiptsAtOnce = 500

/** Searches receipts that no event came of for an erased customer's chat ids, a chunk per commit, and empties those that name one. */
export const eraseUnsorted = job(
  'erase-unsorted-receipts',
  z.object({ chatIds: z.array(ExternalId).max(1_000), after: Id.nullable() }),
  { policy: 'standard', concurrency: 1 },
  async ({ data: { chatIds, after }, organizationId, commit }) => {
    await commit(async (tx, { later }) => {
      const last = await eraseUnsortedBodies(tx, organizationId, chatIds, after, receiptsAtOnce)
      if (last !== undefined) later(eraseUnsorted, { chatIds, after: last })
    })
  },
)
