import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import { Channel, ProviderName } from '../entities/message.ts'
import { ExternalId, Id, Timestamp } from '../primitives.ts'

/** `logged_out` and `error` need a person: until then messages are lost or late. */
export const ChannelStatus = z.enum(['starting', 'waiting_for_login', 'connected', 'logged_out', 'error', 'unknown'])
export type ChannelStatus = z.infer<typeof ChannelStatus>

export const channelStatusChanged = defineEvent({
  type: 'channel.status_changed',
  version: 1,
  key: 'accountKey',
  summary: 'A channel of ours came up or went down at the provider.',
  data: z.object({
    /** `<provider>:<account>`. */
    accountKey: z.string().min(1).max(512),
    provider: ProviderName,
    channel: Channel,
    accountId: ExternalId,
    status: ChannelStatus,
    /** True when nothing can be sent or received until a person acts. */
    needsPerson: z.boolean(),
    /** The provider's own word. */
    providerStatus: z.string().max(128).nullable(),
    changedAt: Timestamp,
    receiptId: Id,
  }),
})
