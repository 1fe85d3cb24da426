import { z } from 'zod'
import { job } from '../app.ts'
import { checkUsage } from '../steps/check-usage.ts'

const Month = z.string().regex(/^\d{4}-\d{2}-01$/)

/** Looks at a whole month, after something was counted near one of its lines. */
export const lookAtUsage = job(
  'look-at-usage',
  z.strictObject({ month: Month }),
  { policy: 'stately', concurrency: 4 },
  async ({ data, organizationId, app, finish }) => {
    const clock = { now: app.now(), graceMs: app.config.ACCOUNTS_MONTH_GRACE_MS, month: data.month }
    await finish((tx, tools) => checkUsage(tx, tools, organizationId, clock))
  },
)
