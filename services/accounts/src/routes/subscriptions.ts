import { Id, Plan, SubscriptionStatus, Timestamp, WrittenText } from '@parley/contracts'
import { AppError, type CommitTools, type Tx } from '@parley/runtime'
import { z } from 'zod'
import { type App, route } from '../app.ts'
import {
  changeSubscription,
  findSubscription,
  listSubscriptions,
  lockSubscription,
  type Subscription,
} from '../db/subscriptions.ts'
import type { DB } from '../db/types.ts'
import { plans } from '../rules/plan.ts'
import { endSubscription, startSubscription, state } from '../steps/subscription.ts'

const Cycle = z.enum(['monthly', 'annual'])

const SubscriptionView = z.object({
  id: Id,
  plan: Plan,
  status: SubscriptionStatus,
  billingCycle: Cycle,
  monthlyPriceMinor: z.int(),
  annualPriceMinor: z.int(),
  currency: z.string(),
  startedAt: Timestamp,
  endedAt: Timestamp.nullable(),
  trialEndsAt: Timestamp.nullable(),
  /** Cancelled, and lasts until `periodEnd`. */
  cancelledAt: Timestamp.nullable(),
  cancellationReason: z.string().nullable(),
  periodStart: Timestamp.nullable(),
  periodEnd: Timestamp.nullable(),
})

const WithHistory = z.object({ current: SubscriptionView, history: z.array(SubscriptionView) })
const mostHistory = 100

const none = () => new AppError('not_found', 'This organization has no subscription.')

export const getSubscription = route({
  method: 'GET',
  path: '/v1/subscription',
  summary: 'The organization’s subscription, and those it had before, latest first.',
  scope: 'billing:read',
  refuses: { not_found: 'This organization has no subscription.' },
  reply: WithHistory,
  run: ({ caller, read }) => read((tx) => withHistory(tx, caller.organizationId)),
})

export const patchSubscription = route({
  method: 'PATCH',
  path: '/v1/subscription',
  summary:
    'Change to another plan or billing cycle, at once; what is paid and not used is credited. The first paid plan begins with a trial.',
  scope: 'billing:write',
  refuses: { not_found: 'This organization has no subscription.', conflict: 'The organization is on the starter plan already.' },
  body: z.strictObject({ plan: Plan, billingCycle: Cycle.optional() }),
  reply: WithHistory,
  async run({ body, caller, app, commit }) {
    const { plan } = body
    if (!plans[plan].selfService && caller.actor.kind !== 'operator') {
      throw new AppError('forbidden', `The ${plan} plan is agreed with us in person.`)
    }
    return await commit(async (tx, tools) => {
      const { organizationId } = caller
      const current = await lockSubscription(tx, organizationId)
      if (!current) throw none()
      const cycle = body.billingCycle ?? current.billingCycle
      if (current.plan === plan && current.billingCycle === cycle) {
        throw new AppError('conflict', `The organization is on the ${plan} plan already.`)
      }
      await endSubscription(tx, tools, organizationId, current, { at: app.now(), credit: true })
      await startSubscription(tx, tools, app, organizationId, { plan, cycle, previousPlan: current.plan })
      return await withHistory(tx, organizationId)
    })
  },
})

export const cancelSubscription = route({
  method: 'POST',
  path: '/v1/subscription/cancel',
  summary: 'Cancel: the plan lasts until the end of what is paid, then the free plan begins.',
  scope: 'billing:write',
  refuses: {
    not_found: 'This organization has no subscription.',
    conflict: ['The subscription is cancelled already.', 'The free plan has nothing to cancel.'],
  },
  body: z.strictObject({ reason: WrittenText(1_000).optional() }),
  reply: WithHistory,
  async run({ body, caller, app, commit }) {
    return await commit(async (tx, tools) => {
      const { organizationId } = caller
      const current = await lockPaid(tx, organizationId)
      if (current.cancelledAt !== null) throw new AppError('conflict', 'The subscription is cancelled already.')
      const cancellationReason = body.reason ?? null
      await markCancelled(tx, tools, app, organizationId, current, { cancelledAt: app.now(), cancellationReason })
      return await withHistory(tx, organizationId)
    })
  },
})

export const resumeSubscription = route({
  method: 'POST',
  path: '/v1/subscription/resume',
  summary: 'Take a cancellation back before it takes effect.',
  scope: 'billing:write',
  refuses: {
    not_found: 'This organization has no subscription.',
    conflict: ['The subscription is not cancelled.', 'The free plan has nothing to cancel.'],
  },
  reply: WithHistory,
  async run({ caller, app, commit }) {
    return await commit(async (tx, tools) => {
      const { organizationId } = caller
      const current = await lockPaid(tx, organizationId)
      if (current.cancelledAt === null) throw new AppError('conflict', 'The subscription is not cancelled.')
      await markCancelled(tx, tools, app, organizationId, current, { cancelledAt: null, cancellationReason: null })
      return await withHistory(tx, organizationId)
    })
  },
})

async function lockPaid(tx: Tx<DB>, organizationId: string): Promise<Subscription> {
  const current = await lockSubscription(tx, organizationId)
  if (!current) throw none()
  if (current.periodEnd === null) throw new AppError('conflict', 'The free plan has nothing to cancel.')
  return current
}

async function markCancelled(
  tx: Tx<DB>,
  tools: CommitTools,
  app: App,
  organizationId: string,
  current: Subscription,
  change: { cancelledAt: Date | null; cancellationReason: string | null },
): Promise<void> {
  const { subscriptionId, cancelledAt, cancellationReason, status, plan } = current
  await changeSubscription(tx, organizationId, subscriptionId, change)
  tools.audit({
    resourceType: 'subscription',
    resourceId: subscriptionId,
    before: { cancelledAt, cancellationReason },
    after: change,
    reason: change.cancellationReason,
  })
  state(tools, current, status, plan, app.now())
}

async function withHistory(tx: Tx<DB>, organizationId: string): Promise<z.infer<typeof WithHistory>> {
  const current = await findSubscription(tx, organizationId)
  if (!current) throw none()
  const all = await listSubscriptions(tx, organizationId, mostHistory)
  return { current: view(current), history: all.filter((one) => one.endedAt !== null).map(view) }
}

function view(subscription: Subscription): z.infer<typeof SubscriptionView> {
  const { organizationId: _, subscriptionId, ...rest } = subscription
  return {
    ...rest,
    id: subscriptionId,
    startedAt: rest.startedAt.toISOString(),
    endedAt: rest.endedAt?.toISOString() ?? null,
    trialEndsAt: rest.trialEndsAt?.toISOString() ?? null,
    cancelledAt: rest.cancelledAt?.toISOString() ?? null,
    periodStart: rest.periodStart?.toISOString() ?? null,
    periodEnd: rest.periodEnd?.toISOString() ?? null,
  }
}
