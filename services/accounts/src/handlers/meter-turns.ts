import { turnTaken } from '@parley/contracts'
import { on } from '../app.ts'
import { meter } from '../steps/meter.ts'

/** A turn that asked a model is a request, with its tokens and its price; one that was decided without a model costs nothing. */
export const meterTurns = on('meter-turns', turnTaken, async (context) => {
  const { time, data } = context.event
  if (data.model === null) return
  const { conversationId, turnId, model, simulated, promptTokens, completionTokens, costMicros } = data
  const use = { conversationId, turnId, model, simulated, promptTokens, completionTokens, costMicros }
  meter(context, { type: 'ai_request', at: new Date(time), ...use })
})
