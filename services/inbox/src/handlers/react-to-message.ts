import { messageReacted } from '@parley/contracts'
import { on } from '../app.ts'
import { noteEvent } from '../db/event-notes.ts'
import { applyReaction } from '../steps/apply-changes.ts'
import { keepForLater } from '../steps/keep-for-later.ts'

export const reactToMessage = on('react-to-message', messageReacted, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const result = await applyReaction(context, organizationId, data)
  if (result === 'erased' || result === 'not_theirs') await noteEvent(tx, event, result, app.now())
  if (result !== 'unknown') return
  const { targetProviderMessageId: providerMessageId, reactedAt } = data
  const kept = await keepForLater(context, { kind: 'reaction', providerMessageId, occurredAt: reactedAt })
  if (kept === 'known') await applyReaction(context, organizationId, data)
})
