import { startOfMonth } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { job } from '../app.ts'
import { insertTransaction } from '../db/billing.ts'
import { findPlanAt, findSubscription } from '../db/subscriptions.ts'
import { closeMonthWith, holdMonth } from '../db/usage-months.ts'
import { closeThrough, lockSettings } from '../db/usage-settings.ts'
import { forgetUses, sumMonth, usedOf } from '../db/usage.ts'
import { termsOf } from '../rules/limits.ts'
import { nextMonth } from '../rules/month.ts'
import { overageLines } from '../rules/overage.ts'
import { plans } from '../rules/plan.ts'

/** No handler's transaction lasts this long: after it, all of them know that the month is shut. */
const shutMs = 60_000
const usesKeptMs = 400 * 86_400_000
const forgottenAtOnce = 5_000

const Step = z.enum(['shut', 'settle', 'forget'])

/**
 * Closes a month in three runs, some days after its end, when no event of it can come any more (the stream holds 72 hours). First it is
 * shut, so that what comes out of a replay later counts towards the current month; then it is summed up and what ran over is billed;
 * then its details are forgotten. Usage does not wait for this: the next month began by itself.
 */
export const closeMonth = job(
  'close-month',
  z.strictObject({ month: z.string().regex(/^\d{4}-\d{2}-01$/), step: Step }),
  { policy: 'standard', retryLimit: 20 },
  async ({ data: { month, step }, organizationId, app, commit, finish }) => {
    const now = app.now()
    if (step === 'shut') {
      const startAfter = new Date(now.getTime() + Math.min(shutMs, app.config.ACCOUNTS_MONTH_GRACE_MS))
      return finish(async (tx, { later }) => {
        await closeThrough(tx, organizationId, month)
        later(closeMonth, { month, step: 'settle' }, { startAfter })
      })
    }
    if (step === 'forget') {
      const before = new Date(now.getTime() - usesKeptMs)
      const forget = () => commit((tx) => forgetUses(tx, organizationId, month, before, forgottenAtOnce))
      while ((await forget()) >= forgottenAtOnce);
      return
    }
    await finish(async (tx, { later, audit }) => {
      const settings = await lockSettings(tx, organizationId)
      if (!settings) return
      const { timezone, overrides, aiBudgetMicros } = settings
      const endsAt = startOfMonth(nextMonth(month), timezone)
      const held = await holdMonth(tx, organizationId, { month, timezone, startsAt: startOfMonth(month, timezone), endsAt })
      if (held.closedAt !== null) return
      const [plan = settings.plan, totals, subscription] = await Promise.all([
        findPlanAt(tx, organizationId, held.endsAt),
        sumMonth(tx, organizationId, month),
        findSubscription(tx, organizationId),
      ])
      const terms = termsOf(plan, overrides, aiBudgetMicros)
      const overage = overageLines(usedOf(totals), terms)
      const amountMinor = overage.reduce((sum, line) => sum + line.amountMinor, 0)
      const transactionId = amountMinor > 0 ? randomUUIDv7() : null
      if (transactionId !== null) {
        await insertTransaction(tx, organizationId, {
          transactionId,
          subscriptionId: subscription?.subscriptionId ?? null,
          type: 'overage',
          status: 'pending',
          description: `Use beyond the plan in ${month.slice(0, 7)}`,
          amountMinor,
          currency: plans[plan ?? 'free'].currency,
          periodStart: held.startsAt,
          periodEnd: held.endsAt,
          lines: JSON.stringify(overage),
          at: now,
        })
        audit({
          resourceType: 'transaction',
          resourceId: transactionId,
          before: null,
          after: { type: 'overage', amountMinor, month },
        })
      }
      await closeMonthWith(tx, organizationId, month, { at: now, totals, limits: terms.limits, overage, transactionId })
      later(closeMonth, { month, step: 'forget' })
    })
  },
)
