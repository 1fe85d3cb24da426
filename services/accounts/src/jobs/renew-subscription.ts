import { job } from '../app.ts'
import { changeSubscription, lockSubscription, type Subscription } from '../db/subscriptions.ts'
import { periodEnd } from '../rules/billing-period.ts'
import { renewal } from './renewal.ts'
import { askForRenewal, charge, endSubscription, startSubscription, state } from '../steps/subscription.ts'

/**
 * At the end of a paid period or a trial: the next period begins with its charge, or, when somebody cancelled, the free plan. A run for a
 * period that is not the current one any more does nothing.
 */
export const renewSubscription = job(
  renewal.name,
  renewal.schema,
  { policy: 'standard', retryLimit: 20 },
  async ({ data, organizationId, app, finish }) => {
    await finish(async (tx, tools) => {
      const now = app.now()
      const subscription = await lockSubscription(tx, organizationId)
      if (subscription?.subscriptionId !== data.subscriptionId) return
      const { periodEnd: ends, billingCycle, startedAt, trialEndsAt, status, plan } = subscription
      if (ends?.toISOString() !== data.periodEnd || ends > now) return
      if (subscription.cancelledAt !== null) {
        const reason = subscription.cancellationReason
        await endSubscription(tx, tools, organizationId, subscription, { at: now, credit: false, reason })
        state(tools, subscription, 'cancelled', plan, now)
        await startSubscription(tx, tools, app, organizationId, { plan: 'free', cycle: 'monthly', previousPlan: plan })
        return
      }
      // Periods count from the end of the trial, when there was one: that is when paying began.
      const change = {
        status: status === 'trialing' ? ('active' as const) : status,
        periodStart: ends,
        periodEnd: periodEnd(trialEndsAt ?? startedAt, ends, billingCycle),
      }
      const next: Subscription = { ...subscription, ...change }
      await changeSubscription(tx, organizationId, data.subscriptionId, change)
      await charge(tx, tools, organizationId, next, now)
      askForRenewal(tools, next)
      if (next.status !== status) state(tools, next, next.status, plan, now)
    })
  },
)
