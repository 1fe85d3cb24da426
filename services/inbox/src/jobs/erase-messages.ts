import { Id } from '@parley/contracts'
import { z } from 'zod'
import { job } from '../app.ts'
import { emptyMessages, findErasure, noteErasureProgress } from '../db/erasures.ts'

/** Rows per commit: a long transaction would hold back the events of everybody else. */
const chunk = 500

/** Empties the messages of an erased customer, chunk by chunk, and completes the receipt. May run again: what is empty is left. */
export const eraseMessages = job(
  'erase-messages',
  z.object({ erasureId: Id, customerId: Id, keepMessageId: Id }),
  { policy: 'singleton', retryLimit: 20, expireSeconds: 600, concurrency: 2 },
  async ({ data, organizationId, app, read, commit, signal }) => {
    const erasure = await read((tx) => findErasure(tx, organizationId, data.customerId))
    if (!erasure || erasure.completedAt) return
    const { conversationIds } = erasure
    let emptied: number
    do {
      signal.throwIfAborted()
      emptied = await commit(async (tx) => {
        const at = app.now()
        const count = await emptyMessages(tx, organizationId, {
          conversationIds,
          keepMessageId: data.keepMessageId,
          limit: chunk,
          at,
        })
        await noteErasureProgress(tx, organizationId, data.erasureId, { emptied: count, completedAt: count < chunk ? at : null })
        return count
      })
    } while (emptied === chunk)
  },
)
