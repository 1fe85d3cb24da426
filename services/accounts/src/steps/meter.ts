import { laneOf, type Metric } from '@parley/contracts'
import type { HandlerContext } from '@parley/runtime'
import type { App } from '../app.ts'
import type { DB } from '../db/types.ts'
import { findSettings } from '../db/usage-settings.ts'
import { countUse, type Use } from '../db/usage.ts'
import { lookAtUsage } from '../jobs/look-at-usage.ts'
import { chargedMonth } from '../rules/month.ts'
import { needsLook } from '../rules/usage.ts'

/** Looks that are asked for together are one. */
const lookAfterMs = 100

/**
 * Counts what an event used towards its organization's month. Nothing but the row of the event's own lane is changed; when a line may be
 * near, a look at the whole is asked for.
 */
export async function meter(
  { event, app, tx, later }: Pick<HandlerContext<App, DB, unknown>, 'event' | 'app' | 'tx' | 'later'>,
  use: Omit<Use, 'id'>,
): Promise<void> {
  const { organizationId } = event
  const settings = await findSettings(tx, organizationId)
  const now = app.now()
  const month = chargedMonth(use.at, now, settings?.timezone ?? 'UTC', settings?.closedThrough ?? null)
  const slot = laneOf(organizationId, event.key)
  const counted = await countUse(tx, organizationId, { ...use, id: event.id }, { month, slot })
  if (!counted || !settings) return
  const added: Partial<Record<Metric, number>> = {
    messages: Number(use.type === 'message'),
    customers: Number(use.customerId !== undefined),
    ai_requests: Number(use.type === 'ai_request'),
    ai_spend: use.costMicros ?? 0,
  }
  if (!needsLook(settings.watch, month, counted, added)) return
  // The lane is part of the key, so that lanes never wait for each other's request.
  const key = `${organizationId}:${month}:${slot}`
  later(lookAtUsage, { month }, { key, startAfter: new Date(now.getTime() + lookAfterMs) })
}
