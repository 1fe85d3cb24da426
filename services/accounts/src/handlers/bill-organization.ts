import { organizationCreated, organizationUpdated } from '@parley/contracts'
import { on } from '../app.ts'
import { findSubscription } from '../db/subscriptions.ts'
import { noteOrganization } from '../db/usage-settings.ts'
import { checkUsage } from '../steps/check-usage.ts'
import { startSubscription } from '../steps/subscription.ts'

/** A new organization begins on the free plan. */
export const billOrganization = on('bill-organization', organizationCreated, async ({ event, app, tx, ...tools }) => {
  const { organizationId, data } = event
  await noteOrganization(tx, organizationId, recordOf(data))
  if (await findSubscription(tx, organizationId)) return
  await startSubscription(tx, tools, app, organizationId, { plan: 'free', cycle: 'monthly', previousPlan: null })
})

/** Another zone moves the month, another AI budget the limit. */
export const rebillOrganization = on('rebill-organization', organizationUpdated, async ({ event, app, tx, ...tools }) => {
  const { organizationId, data } = event
  await noteOrganization(tx, organizationId, recordOf(data))
  await checkUsage(tx, tools, organizationId, { now: app.now(), graceMs: app.config.ACCOUNTS_MONTH_GRACE_MS })
})

function recordOf(data: { timezone: string; ai: { monthlyBudgetMicros: number | null }; revision: number }) {
  return { timezone: data.timezone, aiBudgetMicros: data.ai.monthlyBudgetMicros, revision: data.revision }
}
