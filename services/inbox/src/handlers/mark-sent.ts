import { randomUUIDv7 } from 'node:crypto'
import { messageSent } from '@parley/contracts'
import { on } from '../app.ts'
import { lockProviderMessageName } from '../db/early-arrivals.ts'
import { noteEvent } from '../db/event-notes.ts'
import { nameMessage, withdrawAdopted } from '../db/message-status.ts'
import { applyEarlyArrivals, emitStatus } from '../steps/apply-changes.ts'

/** A message of ours has a name at the provider now; reports that used the name before are applied to it. */
export const markSent = on('mark-sent', messageSent, async (context) => {
  const { event, app, tx, emit } = context
  const { organizationId, data } = event
  const { messageId, providerMessageId } = data
  const name = () =>
    nameMessage(tx, organizationId, messageId, { providerMessageId, sentAt: new Date(data.sentAt), historyId: randomUUIDv7() })
  await lockProviderMessageName(tx, organizationId, providerMessageId)
  let named = await name()
  if (!named) {
    const adopted = await withdrawAdopted(tx, organizationId, { id: messageId, providerMessageId })
    if (!adopted) return await noteEvent(tx, event, 'unknown_message', app.now())
    emitStatus(emit, { ...adopted, status: 'dropped', applied: true }, [], data.sentAt)
    named = await name()
  }
  if (!named) throw new Error('A message of ours could not be given its free name.')
  if (named.applied) emitStatus(emit, named, [], data.sentAt)
  await applyEarlyArrivals(context, organizationId, named.early)
})
