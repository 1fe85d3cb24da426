import { type Plan, subscriptionChanged, type SubscriptionStatus } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import type { App } from '../app.ts'
import { insertTransaction } from '../db/billing.ts'
import { changeSubscription, hadTrial, insertSubscription, type Subscription } from '../db/subscriptions.ts'
import type { DB } from '../db/types.ts'
import { setPlan } from '../db/usage-settings.ts'
import { renewal } from '../jobs/renewal.ts'
import { type BillingCycle, periodEnd, unusedMinor } from '../rules/billing-period.ts'
import { plans } from '../rules/plan.ts'
import { checkUsage } from './check-usage.ts'

const dayMs = 86_400_000

type Clock = Pick<App, 'now' | 'config'>

export interface NewSubscription {
  plan: Plan
  cycle: BillingCycle
  previousPlan: Plan | null
}

const priceOf = (subscription: Pick<Subscription, 'billingCycle' | 'monthlyPriceMinor' | 'annualPriceMinor'>) =>
  subscription.billingCycle === 'monthly' ? subscription.monthlyPriceMinor : subscription.annualPriceMinor

/** Begins a subscription (the one before it must have ended), with its one trial, or its first charge. */
export async function startSubscription(
  tx: Tx<DB>,
  tools: CommitTools,
  app: Clock,
  organizationId: string,
  wanted: NewSubscription,
): Promise<void> {
  const now = app.now()
  const { plan, cycle, previousPlan } = wanted
  const { monthlyPriceMinor, annualPriceMinor, currency, trialDays } = plans[plan]
  const isPaid = monthlyPriceMinor > 0
  const onTrial = trialDays > 0 && !(await hadTrial(tx, organizationId))
  const trialEndsAt = onTrial ? new Date(now.getTime() + trialDays * dayMs) : null
  const subscription: Subscription = {
    organizationId,
    subscriptionId: randomUUIDv7(),
    plan,
    status: onTrial ? 'trialing' : 'active',
    billingCycle: cycle,
    monthlyPriceMinor,
    annualPriceMinor,
    currency,
    startedAt: now,
    endedAt: null,
    trialEndsAt,
    cancelledAt: null,
    cancellationReason: null,
    periodStart: isPaid ? now : null,
    periodEnd: isPaid ? (trialEndsAt ?? periodEnd(now, now, cycle)) : null,
  }
  await insertSubscription(tx, organizationId, subscription)
  if (isPaid && !onTrial) await charge(tx, tools, organizationId, subscription, now)
  askForRenewal(tools, subscription)
  await setPlan(tx, organizationId, plan)
  state(tools, subscription, subscription.status, previousPlan, now)
  const { organizationId: _, ...after } = subscription
  tools.audit({ resourceType: 'subscription', resourceId: subscription.subscriptionId, before: null, after })
  await checkUsage(tx, tools, organizationId, { now, graceMs: app.config.ACCOUNTS_MONTH_GRACE_MS })
}

/** Ends a subscription at once; what was charged for the rest of its period is credited when `credit` says so. */
export async function endSubscription(
  tx: Tx<DB>,
  tools: CommitTools,
  organizationId: string,
  subscription: Subscription,
  end: { at: Date; credit: boolean; reason?: string | null },
): Promise<void> {
  const { subscriptionId, periodStart, periodEnd: until, status } = subscription
  await changeSubscription(tx, organizationId, subscriptionId, { status: 'cancelled', endedAt: end.at })
  tools.audit({
    resourceType: 'subscription',
    resourceId: subscriptionId,
    before: { status, endedAt: null },
    after: { status: 'cancelled', endedAt: end.at },
    reason: end.reason ?? null,
  })
  if (!end.credit || status === 'trialing' || periodStart === null || until === null) return
  const unused = unusedMinor(priceOf(subscription), { start: periodStart, end: until }, end.at)
  if (unused === 0) return
  // A charge that is still open stays due in full: with the credit, it comes to what was used.
  await insertTransaction(tx, organizationId, {
    transactionId: randomUUIDv7(),
    subscriptionId,
    type: 'credit',
    status: 'succeeded',
    description: `Unused part of the ${subscription.plan} plan`,
    amountMinor: -unused,
    currency: subscription.currency,
    periodStart: end.at,
    periodEnd: until,
    at: end.at,
  })
}

/** Writes the charge of the subscription's current period. */
export async function charge(
  tx: Tx<DB>,
  { audit }: Pick<CommitTools, 'audit'>,
  organizationId: string,
  subscription: Subscription,
  at: Date,
): Promise<void> {
  const amountMinor = priceOf(subscription)
  const { subscriptionId, currency, periodStart, periodEnd: until, plan, billingCycle } = subscription
  const transactionId = randomUUIDv7()
  const description = `${plans[plan].name}, ${billingCycle}`
  await insertTransaction(tx, organizationId, {
    transactionId,
    subscriptionId,
    type: 'subscription',
    status: 'pending',
    description,
    amountMinor,
    currency,
    periodStart,
    periodEnd: until,
    at,
  })
  audit({
    resourceType: 'transaction',
    resourceId: transactionId,
    before: null,
    after: { type: 'subscription', description, amountMinor, currency },
  })
}

export function askForRenewal({ later }: Pick<CommitTools, 'later'>, subscription: Subscription): void {
  const { subscriptionId, periodEnd: until } = subscription
  if (until === null) return
  later(renewal, { subscriptionId, periodEnd: until.toISOString() }, { startAfter: until })
}

export function state(
  { emit }: Pick<CommitTools, 'emit'>,
  { subscriptionId, plan, billingCycle }: Subscription,
  status: SubscriptionStatus,
  previousPlan: Plan | null,
  at: Date,
): void {
  emit(subscriptionChanged, { subscriptionId, plan, status, previousPlan, billingCycle, changedAt: at.toISOString() })
}
