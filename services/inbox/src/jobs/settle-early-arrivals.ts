import { messageReceived } from '@parley/contracts'
import { z } from 'zod'
import { job } from '../app.ts'
import { forgetEarlyArrivals, hasEarlyArrivals, takeDueArrivals } from '../db/early-arrivals.ts'
import { adoptEcho } from '../steps/adopt-echo.ts'
import { applyEarlyArrivals } from '../steps/apply-changes.ts'

/** An echo of our own sending is claimed within seconds; one that waits longer was written elsewhere. */
const claimWithinMs = 10 * 60_000
const againAfterMs = 10 * 60_000
const keepForMs = 30 * 24 * 3_600_000
const chunk = 100

/**
 * Looks after reports that came before their message: applies those that crossed with it, turns echoes that nobody claimed
 * into messages, forgets after 30 days. Comes back while any are left.
 */
export const settleEarlyArrivals = job(
  'settle-early-arrivals',
  z.object({}),
  { policy: 'stately', retryLimit: 10, expireSeconds: 300, concurrency: 2 },
  async ({ organizationId, app, commit, signal }) => {
    let taken: number
    do {
      signal.throwIfAborted()
      taken = await commit(async (tx, { emit }) => {
        const echoesBefore = new Date(app.now().getTime() - claimWithinMs)
        const due = await takeDueArrivals(tx, organizationId, { echoesBefore, limit: chunk })
        for (const arrival of due) {
          if (arrival.kind === 'echo')
            await adoptEcho({ tx, emit, app }, organizationId, messageReceived.schema.parse(arrival.data))
          else await applyEarlyArrivals({ tx, emit }, organizationId, [arrival])
        }
        return due.length
      })
    } while (taken === chunk)
    await commit(async (tx, { later }) => {
      const now = app.now().getTime()
      await forgetEarlyArrivals(tx, organizationId, new Date(now - keepForMs))
      if (!(await hasEarlyArrivals(tx, organizationId))) return
      later(settleEarlyArrivals, {}, { key: organizationId, startAfter: new Date(now + againAfterMs) })
    })
  },
)
