import { messageAdded } from '@parley/contracts'
import { on } from '../app.ts'
import { meter } from '../steps/meter.ts'

/** Every message of a conversation counts, in and out; what the system says about itself does not. A customer who writes is counted too. */
export const meterMessages = on('meter-messages', messageAdded, async (context) => {
  const { sender, addedAt, conversationId, customerId } = context.event.data
  if (sender === 'system') return
  const at = new Date(addedAt)
  meter(context, { type: 'message', at, conversationId, ...(sender === 'user' ? { customerId } : {}) })
})
