import { Metric } from '@parley/contracts'
import { z } from 'zod'

/** One line of a bill for what ran over a limit. */
export const OverageLineView = z.object({
  metric: Metric,
  used: z.int(),
  limit: z.int(),
  /** Beyond the limit. */
  quantity: z.int(),
  unitPriceMicros: z.number(),
  amountMinor: z.int(),
})
