import { type DataOf, messageDeleted } from '@parley/contracts'
import type { HandlerContext } from '@parley/runtime'
import { type App, on } from '../app.ts'
import { lockConversationOfChat } from '../db/conversations.ts'
import { noteEvent } from '../db/event-notes.ts'
import { markChatDeleted } from '../db/message-changes.ts'
import type { DB } from '../db/types.ts'
import { applyDeletion } from '../steps/apply-changes.ts'
import { keepForLater } from '../steps/keep-for-later.ts'

type Context = HandlerContext<App, DB, DataOf<typeof messageDeleted>>

export const deleteMessage = on('delete-message', messageDeleted, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const { providerMessageId, deletedAt } = data
  if (providerMessageId === null) return await clearChat(context)
  const deletion = { ...data, providerMessageId }
  const result = await applyDeletion(context, organizationId, deletion)
  if (result === 'erased' || result === 'not_theirs') await noteEvent(tx, event, result, app.now())
  if (result !== 'unknown') return
  const kept = await keepForLater(context, { kind: 'deletion', providerMessageId, occurredAt: deletedAt })
  if (kept === 'known') await applyDeletion(context, organizationId, deletion)
})

async function clearChat({ event, app, tx }: Context): Promise<void> {
  const { organizationId, data } = event
  const conversation = await lockConversationOfChat(tx, organizationId, data)
  if (conversation) await markChatDeleted(tx, organizationId, conversation.id, new Date(data.deletedAt))
  else await noteEvent(tx, event, 'unknown_conversation', app.now())
}
