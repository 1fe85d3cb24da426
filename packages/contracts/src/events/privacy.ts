import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import { ProviderName } from '../entities/message.ts'
import { ExternalId, Id, Timestamp } from '../primitives.ts'

export const privacyRequested = defineEvent({
  type: 'privacy.requested',
  version: 1,
  key: 'privacyKey',
  summary: 'A shop passed on a legal demand to show or erase personal data; it is due within 30 days.',
  data: z.object({
    /** `<shop>:<customer id, else e-mail, else phone>`, or the shop alone. */
    privacyKey: z.string().min(1).max(512),
    provider: ProviderName,
    shop: ExternalId,
    shopId: ExternalId.nullable(),
    kind: z.enum(['data_request', 'customer_redact', 'shop_redact']),
    dataRequestId: ExternalId.nullable(),
    /** Null for a whole shop. At least one of the three is set: an erasure may name nothing but an e-mail. */
    customer: z
      .object({ customerId: ExternalId.nullable(), email: z.string().max(320).nullable(), phone: z.string().max(64).nullable() })
      .nullable(),
    /** Orders the shop named; more than these may exist, so erasure goes by the customer. */
    orderIds: z.array(ExternalId).max(1_000),
    ordersTruncated: z.boolean(),
    requestedAt: Timestamp,
    receiptId: Id,
  }),
})
