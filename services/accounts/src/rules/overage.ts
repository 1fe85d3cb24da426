import type { Metric } from '@parley/contracts'
import { limitOf, metrics, type Terms } from './limits.ts'
import type { Used } from './usage.ts'

export interface OverageLine {
  metric: Metric
  used: number
  limit: number
  quantity: number
  unitPriceMicros: number
  amountMinor: number
}

const microsPerMinor = 10_000

/** What a month costs beyond its plan, one line per metric that ran over; none where the plan stops instead. Half a cent rounds up. */
export function overageLines(used: Used, terms: Terms): OverageLine[] {
  return metrics.flatMap((metric) => {
    const limit = limitOf(terms.limits, metric)
    const unitPriceMicros = terms.overageMicros[metric]
    if (limit === null || unitPriceMicros === null || used[metric] <= limit) return []
    const quantity = used[metric] - limit
    const amountMinor = Math.round((quantity * unitPriceMicros) / microsPerMinor)
    return [{ metric, used: used[metric], limit, quantity, unitPriceMicros, amountMinor }]
  })
}
