import { customerErased } from '@parley/contracts'
import { on } from '../app.ts'
import { removeGuards } from '../db/guards.ts'
import { eraseOutgoing } from '../db/outgoing-messages.ts'

export const eraseCustomer = on('erase-customer', customerErased, async ({ event, tx }) => {
  await eraseOutgoing(tx, event.organizationId, event.data)
  await removeGuards(tx, event.organizationId, event.data.customerId, event.data.conversationIds)
})
