import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import { ProviderName } from '../entities/message.ts'
import { Id } from '../primitives.ts'

export const webhookUnrecognised = defineEvent({
  type: 'webhook.unrecognised',
  version: 1,
  key: 'receiptId',
  summary: 'An authentic delivery held something we have no use or no words for; its receipt can be replayed once we do.',
  data: z.object({ provider: ProviderName, topic: z.string().max(128), reason: z.string().max(512), receiptId: Id }),
})
