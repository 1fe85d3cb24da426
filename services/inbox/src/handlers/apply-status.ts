import { messageStatusChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { applyStatusChange } from '../steps/apply-changes.ts'
import { keepForLater } from '../steps/keep-for-later.ts'

/** Every report is recorded; it moves the message only when it leads further. Before its message is known, it waits. */
export const applyStatus = on('apply-status', messageStatusChanged, async (context) => {
  const { organizationId, data } = context.event
  if ((await applyStatusChange(context, organizationId, data)) !== 'unknown') return
  const { providerMessageId, changedAt } = data
  const kept = await keepForLater(context, { kind: 'status', providerMessageId, occurredAt: changedAt })
  if (kept === 'known') await applyStatusChange(context, organizationId, data)
})
