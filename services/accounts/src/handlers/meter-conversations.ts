import { conversationStarted } from '@parley/contracts'
import { on } from '../app.ts'
import { meter } from '../steps/meter.ts'

export const meterConversations = on('meter-conversations', conversationStarted, async (context) => {
  // By the event's time: `startedAt` is the provider's clock, which may be weeks back when a channel is connected.
  const { time, data } = context.event
  meter(context, { type: 'conversation', at: new Date(time), conversationId: data.conversationId })
})
