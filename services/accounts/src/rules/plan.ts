import type { Limits, Metric, Plan } from '@parley/contracts'

/** Micro-units of the plan's currency for each unit beyond the limit; null: the plan stops there. */
export type Overage = Readonly<Record<Metric, number | null>>

export interface PlanTerms {
  plan: Plan
  name: string
  currency: string
  monthlyPriceMinor: number
  annualPriceMinor: number
  limits: Limits
  overageMicros: Overage
  /** False: it is agreed with a person, and set by an operator. */
  selfService: boolean
  /** Days before the first charge, once per organization. */
  trialDays: number
}

const stopsEverywhere: Overage = { messages: null, ai_requests: null, customers: null, ai_spend: null }

/**
 * What is for sale. These numbers are defaults of ours, chosen so that a plan's price covers its AI budget at list prices; an operator
 * may override the limits of one organization. Prices are before tax.
 */
export const plans: Readonly<Record<Plan, PlanTerms>> = {
  free: {
    plan: 'free',
    name: 'Free',
    currency: 'USD',
    monthlyPriceMinor: 0,
    annualPriceMinor: 0,
    limits: { messages: 1_000, aiRequests: 500, customers: 100, aiSpendMicros: 2_000_000 },
    overageMicros: stopsEverywhere,
    selfService: true,
    trialDays: 0,
  },
  starter: {
    plan: 'starter',
    name: 'Starter',
    currency: 'USD',
    monthlyPriceMinor: 2_900,
    annualPriceMinor: 29_000,
    limits: { messages: 10_000, aiRequests: 5_000, customers: 1_000, aiSpendMicros: 15_000_000 },
    overageMicros: stopsEverywhere,
    selfService: true,
    trialDays: 14,
  },
  professional: {
    plan: 'professional',
    name: 'Professional',
    currency: 'USD',
    monthlyPriceMinor: 9_900,
    annualPriceMinor: 99_000,
    limits: { messages: 50_000, aiRequests: 25_000, customers: 10_000, aiSpendMicros: 60_000_000 },
    // Money for models is never lent: only what we can price beforehand may run over.
    overageMicros: { messages: 2_000, ai_requests: 10_000, customers: 20_000, ai_spend: null },
    selfService: true,
    trialDays: 14,
  },
  enterprise: {
    plan: 'enterprise',
    name: 'Enterprise',
    currency: 'USD',
    monthlyPriceMinor: 49_900,
    annualPriceMinor: 499_000,
    limits: { messages: null, aiRequests: null, customers: null, aiSpendMicros: 300_000_000 },
    // Models at cost and a fifth.
    overageMicros: { messages: null, ai_requests: null, customers: null, ai_spend: 1.2 },
    selfService: false,
    trialDays: 0,
  },
}
