import { messageAdded } from '@parley/contracts'
import { on } from '../app.ts'
import { raiseGuard } from '../db/guards.ts'

/** A person of the shop wrote: answers computed before that must not go out any more. */
export const guardConversation = on('guard-conversation', messageAdded, async ({ event, tx }) => {
  if (event.data.sender !== 'human') return
  await raiseGuard(tx, event.organizationId, event.data.conversationId, event.data.conversationVersion)
})
