import { allowanceChanged, monthOf } from '@parley/contracts'
import { Permanent } from '@parley/runtime'
import { on } from '../app.ts'
import { saveAllowance } from '../db/allowances.ts'

/** What the organization may still use; a turn asks before it asks a model. */
export const noteAllowance = on('note-allowance', allowanceChanged, async ({ event, app, tx }) => {
  const { data, organizationId } = event
  refuseUnknownZone(data.timezone ?? 'UTC', app.now())
  await saveAllowance(tx, organizationId, data, event.time)
})

/** A zone that this process does not know would fail every turn of the organization, so it does not get in. */
function refuseUnknownZone(timezone: string, now: Date): void {
  try {
    monthOf(now, timezone)
  } catch (cause) {
    throw new Permanent(`Unknown time zone ${timezone}.`, { cause })
  }
}
