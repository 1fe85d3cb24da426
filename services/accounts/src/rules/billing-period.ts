export type BillingCycle = 'monthly' | 'annual'

/** `months` later on the same day of the month, or on its last day where there is no such day. UTC. */
function addMonths(from: Date, months: number): Date {
  const day = from.getUTCDate()
  const moved = new Date(from)
  moved.setUTCDate(1)
  moved.setUTCMonth(moved.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate()
  moved.setUTCDate(Math.min(day, lastDay))
  return moved
}

const mostPeriods = 12_000

/**
 * The end of the billing period that begins at `from`. Counted from the day the subscription began, so that one begun on the 31st
 * comes back to the 31st after February.
 */
export function periodEnd(began: Date, from: Date, cycle: BillingCycle): Date {
  const months = cycle === 'monthly' ? 1 : 12
  for (let periods = 1; periods <= mostPeriods; periods++) {
    const end = addMonths(began, periods * months)
    if (end > from) return end
  }
  throw new RangeError('A subscription does not last a thousand years.')
}

/** What of a paid period's price is not used up at `now`, in whole minor units, rounded down: we owe no fractions. */
export function unusedMinor(priceMinor: number, period: { start: Date; end: Date }, now: Date): number {
  const whole = period.end.getTime() - period.start.getTime()
  const left = period.end.getTime() - now.getTime()
  if (whole <= 0 || left <= 0) return 0
  return Math.floor((priceMinor * Math.min(left, whole)) / whole)
}
