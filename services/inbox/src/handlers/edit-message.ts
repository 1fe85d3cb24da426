import { type DataOf, messageEdited } from '@parley/contracts'
import type { HandlerContext } from '@parley/runtime'
import { type App, on } from '../app.ts'
import { lockConversationOfChat } from '../db/conversations.ts'
import { noteEvent } from '../db/event-notes.ts'
import { lockMessageOfProvider } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { consentCommand } from '../rules/consent-command.ts'
import { applyEdit } from '../steps/apply-changes.ts'
import { keepForLater } from '../steps/keep-for-later.ts'
import { obeyCommand } from '../steps/obey-command.ts'

type Context = HandlerContext<App, DB, DataOf<typeof messageEdited>>

export const editMessage = on('edit-message', messageEdited, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const obey = await commandIn(context)
  const result = await applyEdit(context, organizationId, data)
  if (result === 'done') return await obey?.()
  if (result === 'erased' || result === 'not_theirs') return await noteEvent(tx, event, result, app.now())
  const { providerMessageId, editedAt } = data
  const kept = await keepForLater(context, { kind: 'edit', providerMessageId, occurredAt: editedAt })
  if (kept === 'known') await applyEdit(context, organizationId, data)
})

/**
 * What to obey when the words were changed into a stop. To start again or to be erased is asked for in a message of its own. The conversation
 * is held before its message, as everywhere.
 */
async function commandIn(context: Context): Promise<(() => Promise<void>) | undefined> {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const command = consentCommand(data.text)
  if ((command.kind !== 'stop' && command.kind !== 'maybe_stop') || data.author?.fromUs !== false) return undefined
  const conversation = await lockConversationOfChat(tx, organizationId, data)
  if (conversation?.chatKind !== 'person') return undefined
  return async () => {
    const message = await lockMessageOfProvider(tx, organizationId, data)
    if (message === undefined) return
    const heard = { messageId: message.id, chatId: data.chatId, sentAt: new Date(data.editedAt), now: app.now() }
    await obeyCommand(context, organizationId, conversation, command, heard)
  }
}
