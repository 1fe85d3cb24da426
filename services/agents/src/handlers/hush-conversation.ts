import { conversationHandedOver } from '@parley/contracts'
import { on } from '../app.ts'
import { notePersonTookOver } from '../db/conversations.ts'

/** From here on a person answers; a turn under way ends in silence. */
export const hushConversation = on('hush-conversation', conversationHandedOver, async ({ event, app, tx }) => {
  await notePersonTookOver(tx, event.organizationId, event.data.conversationId, app.now())
})
