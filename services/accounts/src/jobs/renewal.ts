import { Id, Timestamp } from '@parley/contracts'
import type { JobRef } from '@parley/runtime'
import { z } from 'zod'

interface Renewal {
  subscriptionId: string
  /** Of the period that ends: a run for another one does nothing. */
  periodEnd: string
}

/** What asks for `renew-subscription`; apart from it, because it begins subscriptions and those ask for it. */
export const renewal: JobRef<Renewal> = {
  name: 'renew-subscription',
  schema: z.strictObject({ subscriptionId: Id, periodEnd: Timestamp }),
}
