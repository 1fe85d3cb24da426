import { laneOf, type Metric } from '@parley/contracts'
import type { HandlerContext, Later, SharedWork } from '@parley/runtime'
import type { App } from '../app.ts'
import type { DB } from '../db/types.ts'
import { findSettings } from '../db/usage-settings.ts'
import { countUses, type PlacedUse, type Use } from '../db/usage.ts'
import { lookAtUsage } from '../jobs/look-at-usage.ts'
import { chargedMonth } from '../rules/month.ts'
import { needsLook } from '../rules/usage.ts'

/** Looks that are asked for together are one. */
const lookAfterMs = 100

interface Metered {
  use: Use
  slot: number
  later: Later
}

/** Counts what an event used towards its organization's month, with what the other events of its commit used. */
export function meter(
  { event, later, together }: Pick<HandlerContext<App, DB, unknown>, 'event' | 'later' | 'together'>,
  use: Omit<Use, 'id'>,
): void {
  together(countTogether, { use: { ...use, id: event.id }, slot: laneOf(event.organizationId, event.key), later })
}

/** Nothing but the rows of the events' own lanes is changed; when a line may be near, a look at the whole is asked for. */
const countTogether: SharedWork<App, DB, Metered> = async ({ app, tx, organizationId }, metered) => {
  const settings = await findSettings(tx, organizationId)
  const now = app.now()
  const monthAt = (at: Date) => chargedMonth(at, now, settings?.timezone ?? 'UTC', settings?.closedThrough ?? null)
  const uses = metered.map(({ use, slot }): PlacedUse => ({ ...use, slot, month: monthAt(use.at) }))
  const counted = await countUses(tx, organizationId, uses)
  // Who is not known here is counted and never limited.
  if (!settings) return
  for (const month of new Set(counted.map((lane) => lane.month))) {
    const most = mostOfOne(uses.filter((use) => use.month === month))
    const lane = counted.find((candidate) => candidate.month === month && needsLook(settings.watch, month, candidate, most))
    if (lane === undefined) continue
    const asks = metered.findLast(({ slot }) => slot === lane.slot)
    // The lane is part of the key, so that lanes never wait for each other's request.
    const key = `${organizationId}:${month}:${lane.slot}`
    asks?.later(lookAtUsage, { month }, { key, startAfter: new Date(now.getTime() + lookAfterMs) })
  }
}

/** The most that a single one of these added to each metric. */
function mostOfOne(uses: readonly Use[]): Record<Metric, number> {
  return {
    messages: Number(uses.some((use) => use.type === 'message')),
    customers: Number(uses.some((use) => use.customerId !== undefined)),
    ai_requests: Number(uses.some((use) => use.type === 'ai_request')),
    ai_spend: Math.max(0, ...uses.map((use) => use.costMicros ?? 0)),
  }
}
