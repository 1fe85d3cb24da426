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
  /** When we heard that the month's customers are used up; null while they are not. */
  customersStoppedAt: Date | null
}

export interface MonthlyBudget {
  month: string
  startsAt: Date
  /** Null: no limit. */
  capMicros: number | null
  /** True: no model is asked until the month ends. */
  stopped: boolean
  /** True: nothing goes out by itself until the month ends; what people write does. */
  messagesStopped: boolean
  /** Set: whoever had not written in this month by then gets no automatic answers in it. */
  customersStoppedAt: Date | null
  /** All that is used up and stops something, by name. */
  usedUp: Metric[]
}

/**
 * What holds at this moment. A stop ends with its month, by our own clock: nobody has to tell us that a new one began. The limit holds
 * on. Without a word of accounts there is none, and months are UTC's.
 */
export function budgetAt(allowance: Allowance | undefined, now: Date): MonthlyBudget {
  const timezone = allowance?.timezone ?? 'UTC'
  const month = monthOf(now, timezone)
  const usedUp = allowance?.month === month ? allowance.stopped : []
  const isSpent = (metric: Metric) => usedUp.includes(metric)
  return {
    month,
    startsAt: startOfMonth(month, timezone),
    capMicros: allowance?.aiSpendMicros ?? null,
    stopped: isSpent('ai_requests') || isSpent('ai_spend'),
    messagesStopped: isSpent('messages'),
    customersStoppedAt: isSpent('customers') ? (allowance?.customersStoppedAt ?? null) : null,
    usedUp,
  }
}
