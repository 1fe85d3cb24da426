import { allowanceChanged, type Month, monthOf, startOfMonth, usageLimitReached, usageRecorded } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { isDeepStrictEqual } from 'node:util'
import type { Allowance, DB } from '../db/types.ts'
import { holdMonth, saveMonth } from '../db/usage-months.ts'
import { lockSettings, saveWatch } from '../db/usage-settings.ts'
import { sumMonth, usedOf } from '../db/usage.ts'
import { closeMonth } from '../jobs/close-month.ts'
import { hardLimits, limitOf, metrics, termsOf } from '../rules/limits.ts'
import { nextMonth } from '../rules/month.ts'
import { decideUsage } from '../rules/usage.ts'

/**
 * Looks at the whole of a month (the current one, unless another is named): tells of lines that were crossed, each once, and tells the
 * other services when what the organization may still use is another than they were told. Whoever changes a plan or a limit calls it
 * in the same transaction.
 */
export async function checkUsage(
  tx: Tx<DB>,
  { emit, later }: Pick<CommitTools, 'emit' | 'later'>,
  organizationId: string,
  clock: { now: Date; graceMs: number; month?: Month },
): Promise<void> {
  const settings = await lockSettings(tx, organizationId)
  if (!settings) return
  const { timezone, plan, overrides, aiBudgetMicros } = settings
  const current = monthOf(clock.now, timezone)
  const month = clock.month ?? current
  const bounds = { startsAt: startOfMonth(month, timezone), endsAt: startOfMonth(nextMonth(month), timezone) }
  const held = await holdMonth(tx, organizationId, { month, timezone, ...bounds })
  if (held.closedAt !== null) return
  if (held.opened) {
    // A month that we come to know long after its end (a backlog, a replay) stays open until the rest of it has come.
    const backlogMs = Math.min(clock.graceMs, 3_600_000)
    const startAfter = new Date(Math.max(held.endsAt.getTime() + clock.graceMs, clock.now.getTime() + backlogMs))
    later(closeMonth, { month, step: 'shut' }, { startAfter })
  }

  const terms = termsOf(plan, overrides, aiBudgetMicros)
  const used = usedOf(await sumMonth(tx, organizationId, month))
  const verdict = decideUsage(used, terms, held.warned)
  for (const metric of metrics) {
    const quantity = used[metric] - (held.reported[metric] ?? 0)
    if (quantity > 0) emit(usageRecorded, { metric, quantity, month, used: used[metric], limit: limitOf(terms.limits, metric) })
  }
  for (const warning of verdict.warnings) emit(usageLimitReached, { ...warning, month })
  await saveMonth(tx, organizationId, month, { warned: verdict.warned, reported: used })
  if (month !== current) return

  const allowance: Allowance = { allowance: 'allowance', month, timezone, limits: hardLimits(terms), stopped: verdict.stopped }
  const isNews = !isDeepStrictEqual(allowance, settings.allowance)
  const revision = settings.allowanceRevision + Number(isNews)
  if (isNews) emit(allowanceChanged, { ...allowance, revision })
  await saveWatch(tx, organizationId, { month, next: verdict.next }, { allowance, revision })
}
