import { type Month, monthOf } from '@parley/contracts'

export function nextMonth(month: Month): Month {
  const [year, number] = month.split('-').map(Number) as [number, number, number]
  return number === 12 ? `${year + 1}-01-01` : `${year}-${String(number + 1).padStart(2, '0')}-01`
}

/**
 * The month that a use counts towards: its own, unless that one is billed already (an event that comes more than three days late, out
 * of a replay), then the one in which we learn of it. What was used is billed once and never changes an invoice.
 */
export function chargedMonth(usedAt: Date, now: Date, timezone: string, closedThrough: Month | null): Month {
  const month = monthOf(usedAt, timezone)
  return closedThrough !== null && month <= closedThrough ? monthOf(now, timezone) : month
}
