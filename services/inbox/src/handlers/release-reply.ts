import { type DataOf, replyProposed } from '@parley/contracts'
import type { HandlerContext } from '@parley/runtime'
import { type App, on } from '../app.ts'
import { type LockedConversation, lockConversation } from '../db/conversations.ts'
import { noteEvent } from '../db/event-notes.ts'
import { recordDropped } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { withReplyAt } from '../rules/bot-loop.ts'
import { type DropReason, replyStillFits } from '../rules/reply.ts'
import { addOutgoing, type Outgoing, outgoingMessage } from '../steps/add-outgoing.ts'
import { handOver } from '../steps/hand-over.ts'

type Context = HandlerContext<App, DB, DataOf<typeof replyProposed>>

/** The one gate between what an agent drafted and what goes out: the conversation, held, decides whether the draft still fits. */
export const releaseReply = on('release-reply', replyProposed, async (context) => {
  const { event, app, tx } = context
  const { organizationId, data } = event
  const now = app.now()
  const conversation = await lockConversation(tx, organizationId, data.conversationId)
  if (!conversation) return await noteEvent(tx, event, 'unknown_conversation', now)
  const verdict = replyStillFits({ conversation, reply: data, now })
  const { chatId } = conversation
  // Without its chat the customer was erased: the draft may repeat what they wrote and is not kept either.
  if (chatId === null) return await noteEvent(tx, event, 'erased', now)
  const reply = replyOf(conversation, chatId, data, now)
  if (!verdict.fits) return await drop(context, conversation, reply, verdict.reason)
  await addOutgoing(context, organizationId, conversation, reply)
  if (data.handOver) await toPerson(context, conversation, 'model_unsure', now)
})

function replyOf(conversation: LockedConversation, chatId: string, data: Context['event']['data'], now: Date): Outgoing {
  const { turnId, basedOnVersion, confidence, model, simulated, text, quickReplies } = data
  const replyTimes = withReplyAt(conversation.agentReplyTimes, now)
  const agent = { turnId, basedOnVersion, confidence, model, simulated, replyTimes }
  return { sender: 'agent', text, quickReplies, chatId, agent, now }
}

async function drop(context: Context, conversation: LockedConversation, reply: Outgoing, reason: DropReason): Promise<void> {
  const { channel, accountId } = conversation
  const message = outgoingMessage(conversation, reply)
  await recordDropped(context.tx, context.event.organizationId, message, { channel, accountId, reason })
  if (reason === 'bot_loop') await toPerson(context, conversation, 'bot_loop', reply.now)
  else if (context.event.data.handOver) await toPerson(context, conversation, 'model_unsure', reply.now)
}

async function toPerson(
  context: Context,
  conversation: LockedConversation,
  reason: 'bot_loop' | 'model_unsure',
  at: Date,
): Promise<void> {
  const { organizationId, data } = context.event
  await handOver(context, organizationId, conversation, { reason, note: null, turnId: data.turnId, at })
}
