import { messageEdited } from '@parley/contracts'
import { on } from '../app.ts'
import { noteEvent } from '../db/event-notes.ts'
import { applyEdit } from '../steps/apply-changes.ts'
import { keepForLater } from '../steps/keep-for-later.ts'

export const editMessage = on('edit-message', messageEdited, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const result = await applyEdit(context, organizationId, data)
  if (result === 'erased' || result === 'not_theirs') await noteEvent(tx, event, result, app.now())
  if (result !== 'unknown') return
  const { providerMessageId, editedAt } = data
  const kept = await keepForLater(context, { kind: 'edit', providerMessageId, occurredAt: editedAt })
  if (kept === 'known') await applyEdit(context, organizationId, data)
})
