import { Limits, Metric, Plan } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findSubscription } from '../db/subscriptions.ts'
import { lockSettings, setOverrides } from '../db/usage-settings.ts'
import { type LimitOverrides, termsOf } from '../rules/limits.ts'
import { plans } from '../rules/plan.ts'
import { checkUsage } from '../steps/check-usage.ts'

const PlanView = z.object({
  plan: Plan,
  name: z.string(),
  currency: z.string(),
  monthlyPriceMinor: z.int(),
  annualPriceMinor: z.int(),
  limits: Limits,
  /** Millionths of the currency for each unit beyond the limit; null: it stops there. */
  overageMicros: z.record(Metric, z.number().nullable()),
  /** False: ask us. */
  selfService: z.boolean(),
  trialDays: z.int(),
})

export const getPlans = route({
  method: 'GET',
  path: '/v1/plans',
  summary: 'The plans that are for sale, with their prices and limits.',
  scope: 'public',
  reply: z.object({ items: z.array(PlanView) }),
  async run() {
    return { items: Object.values(plans) }
  },
})

const limit = z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable().optional()
const Overrides = z.strictObject({ messages: limit, aiRequests: limit, customers: limit, aiSpendMicros: limit })

export const putLimits = route({
  method: 'PUT',
  path: '/v1/operator/limits',
  summary:
    'Agree other limits with this organization than its plan has: null is no limit, what is left out is the plan’s. Operators only.',
  scope: 'ops:write',
  refuses: { not_found: 'This organization has no subscription.' },
  body: Overrides,
  reply: z.object({ overrides: z.record(z.string(), z.int().nullable()), limits: Limits }),
  async run({ body, caller, app, commit }) {
    // An owner may do everything in their organization but give themselves more than they pay for.
    if (caller.actor.kind !== 'operator') throw new AppError('forbidden', 'Only an operator of this installation may set limits.')
    const overrides = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as LimitOverrides
    return await commit(async (tx, tools) => {
      const { organizationId } = caller
      const settings = await lockSettings(tx, organizationId)
      if (!settings || !(await findSubscription(tx, organizationId))) {
        throw new AppError('not_found', 'This organization has no subscription.')
      }
      await setOverrides(tx, organizationId, overrides)
      tools.audit({
        resourceType: 'limits',
        resourceId: organizationId,
        before: { ...settings.overrides },
        after: { ...overrides },
      })
      await checkUsage(tx, tools, organizationId, { now: app.now(), graceMs: app.config.ACCOUNTS_MONTH_GRACE_MS })
      return { overrides: { ...overrides }, limits: termsOf(settings.plan, overrides, settings.aiBudgetMicros).limits }
    })
  },
})
