import { customerErased } from '@parley/contracts'
import { eraseAfterMs } from '@parley/runtime'
import { on } from '../app.ts'
import { eraseConversations } from '../db/conversations.ts'
import { eraseTurnWords } from '../db/turns.ts'
import { eraseEvents } from '../jobs/erase-events.ts'

export const eraseCustomer = on('erase-customer', customerErased, async ({ event, app, tx, later }) => {
  const { organizationId, data } = event
  await eraseConversations(tx, organizationId, data)
  await eraseTurnWords(tx, organizationId, data.conversationIds, data.erasedAt)
  later(eraseEvents, { keys: data.conversationIds }, { startAfter: new Date(app.now().getTime() + eraseAfterMs) })
})
