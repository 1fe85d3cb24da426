import { conversationChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { raiseGuard } from '../steps/raise-guard.ts'

/** A person took a conversation over or closed it, also without a word: answers from before must not go out any more. */
export const noteTakeOver = on('note-take-over', conversationChanged, async (context) => {
  const { conversationId, conversationVersion, previousStatus, status } = context.event.data
  if (status === previousStatus || status === 'open' || conversationVersion === undefined) return
  await raiseGuard(context, conversationId, conversationVersion)
})
