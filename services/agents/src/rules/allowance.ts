import { type Metric, monthOf, startOfMonth } from '@parley/contracts'

/** What accounts last said that an organization may use. */
export interface Allowance {
  /** `YYYY-MM-01`, the month it was said in. */
  month: string
  /** IANA. */
  timezone: string
  /** For every month until accounts says otherwise; null: no limit. */
  aiSpendMicros: number | null
  /** Used up in that month. */
  stopped: Metric[]
}

export interface MonthlyBudget {
  month: string
  startsAt: Date
  /** Null: no limit. */
  capMicros: number | null
  /** True: no model is asked until the month ends. */
  stopped: boolean
}

/**
 * What holds at this moment. A stop ends with its month, by our own clock: nobody has to tell us that a new one began. The limit holds
 * on. Without a word of accounts there is none, and months are UTC's.
 */
export function budgetAt(allowance: Allowance | undefined, now: Date): MonthlyBudget {
  const timezone = allowance?.timezone ?? 'UTC'
  const month = monthOf(now, timezone)
  const isSpent = (metric: Metric) => allowance?.month === month && allowance.stopped.includes(metric)
  return {
    month,
    startsAt: startOfMonth(month, timezone),
    capMicros: allowance?.aiSpendMicros ?? null,
    stopped: isSpent('ai_requests') || isSpent('ai_spend'),
  }
}
