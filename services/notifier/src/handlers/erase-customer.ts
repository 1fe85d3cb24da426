import { customerErased } from '@parley/contracts'
import { eraseAfterMs } from '@parley/runtime'
import { on } from '../app.ts'
import { removeGuards } from '../db/guards.ts'
import { eraseOutgoing } from '../db/outgoing-messages.ts'
import { eraseEvents } from '../jobs/erase-events.ts'

export const eraseCustomer = on('erase-customer', customerErased, async ({ event, app, tx, later }) => {
  await eraseOutgoing(tx, event.organizationId, event.data)
  await removeGuards(tx, event.organizationId, event.data.customerId, event.data.conversationIds)
  later(eraseEvents, { keys: event.data.conversationIds }, { startAfter: new Date(app.now().getTime() + eraseAfterMs) })
})
