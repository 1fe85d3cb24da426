import { messageAdded } from '@parley/contracts'
import { on } from '../app.ts'
import { raiseGuard } from '../steps/raise-guard.ts'

/** A person of the shop wrote: answers computed before that must not go out any more. */
export const guardConversation = on('guard-conversation', messageAdded, async (context) => {
  const { sender, conversationId, conversationVersion } = context.event.data
  if (sender === 'human') await raiseGuard(context, conversationId, conversationVersion)
})
