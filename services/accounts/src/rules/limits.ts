import type { Limits, Metric, Plan } from '@parley/contracts'
import { type Overage, plans } from './plan.ts'

/** An operator's word for one organization: what is absent is as the plan says, null is no limit. */
export type LimitOverrides = Partial<Limits>

/** What an organization may use in a month. */
export interface Terms {
  limits: Limits
  /** Micro-units per unit beyond the limit; null: it stops there. */
  overageMicros: Overage
}

export const metrics: readonly Metric[] = ['messages', 'ai_requests', 'customers', 'ai_spend']

const fields = {
  messages: 'messages',
  ai_requests: 'aiRequests',
  customers: 'customers',
  ai_spend: 'aiSpendMicros',
} as const satisfies Record<Metric, keyof Limits>

export const limitOf = (limits: Limits, metric: Metric): number | null => limits[fields[metric]]

const unlimited: Limits = { messages: null, aiRequests: null, customers: null, aiSpendMicros: null }
const neverOver: Overage = { messages: null, ai_requests: null, customers: null, ai_spend: null }

/**
 * The plan's limits, with the operator's overrides, and under the organization's own AI budget when that is the lower one: what a
 * business set for itself is never exceeded, whatever its plan would charge. Without a plan nothing is limited, only counted.
 */
export function termsOf(plan: Plan | null, overrides: LimitOverrides, ownBudgetMicros: number | null): Terms {
  const base = plan === null ? { limits: unlimited, overageMicros: neverOver } : plans[plan]
  const limits: Limits = { ...base.limits, ...overrides }
  const planBudget = limits.aiSpendMicros
  if (ownBudgetMicros === null || (planBudget !== null && planBudget < ownBudgetMicros)) {
    return { limits, overageMicros: base.overageMicros }
  }
  return { limits: { ...limits, aiSpendMicros: ownBudgetMicros }, overageMicros: { ...base.overageMicros, ai_spend: null } }
}

/** The limits at which something stops, for those who must keep them: null where there is none, or where more is charged instead. */
export function hardLimits({ limits, overageMicros }: Terms): Limits {
  const hard = (metric: Metric) => (overageMicros[metric] === null ? limitOf(limits, metric) : null)
  return {
    messages: hard('messages'),
    aiRequests: hard('ai_requests'),
    customers: hard('customers'),
    aiSpendMicros: hard('ai_spend'),
  }
}
