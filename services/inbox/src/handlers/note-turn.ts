import { turnTaken } from '@parley/contracts'
import { on } from '../app.ts'
import { lockConversation, setUnderstanding } from '../db/conversations.ts'
import { noteEvent } from '../db/event-notes.ts'
import { handOverReason } from '../rules/conversation.ts'
import { handOver } from '../steps/hand-over.ts'

/** Puts what a turn understood on the messages and the conversation, and hands over when the turn says so. */
export const noteTurn = on('note-turn', turnTaken, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const now = app.now()
  const conversation = await lockConversation(tx, organizationId, data.conversationId)
  if (!conversation) return await noteEvent(tx, event, 'unknown_conversation', now)
  if (conversation.erasedAt) return await noteEvent(tx, event, 'erased', now)
  await setUnderstanding(tx, organizationId, conversation.id, data)
  if (data.outcome !== 'handed_over') return
  // Where a person wrote or took over since, handOver leaves it to them without another word.
  const { reason, turnId } = data
  await handOver(context, organizationId, conversation, { reason: handOverReason(reason), note: reason, turnId, at: now })
})
