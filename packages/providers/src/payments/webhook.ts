import { createHmac, timingSafeEqual } from 'node:crypto'
import { Currency, Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { accepted, bytesOfBase64, refused, singleHeader } from '../webhook/signature.ts'
import { ShapeError, type Verdict, type WebhookHeaders } from '../webhook/types.ts'

/** What a payment provider can tell us, in our words. Amounts are in minor units, never negative. */
export const PaymentEvent = z.object({
  /** The provider's id of this telling: the same one again is the same event. */
  eventId: z.string().min(1).max(128),
  type: z.enum(['payment.succeeded', 'payment.failed', 'payment.refunded', 'subscription.cancelled']),
  occurredAt: Timestamp,
  organizationId: Id,
  /** Ours, as we handed it over with the charge. Null for what is about a subscription. */
  transactionId: Id.nullable(),
  subscriptionId: Id.nullable(),
  providerTransactionId: z.string().min(1).max(256).nullable(),
  amountMinor: z.int().min(0),
  currency: Currency,
  paymentMethod: z.string().max(64).nullable(),
  invoiceUrl: z
    .url({ protocol: /^https$/ })
    .max(2_048)
    .nullable(),
  reason: z.string().max(500).nullable(),
})
export type PaymentEvent = z.infer<typeof PaymentEvent>

export interface PaymentRequest {
  headers: WebhookHeaders
  rawBody: Uint8Array
}

/** One payment provider's webhooks, pure. A new provider is one more of these; no card number ever comes near us. */
export interface PaymentWebhook {
  provider: string
  /** Is it really from the provider, and fresh? Constant time in the secrets; never throws. The current secret first, then older ones. */
  verify(request: PaymentRequest, secrets: readonly string[], now: Date): Verdict
  /** The fact in a verified body; null for what is of no use to us. Throws ShapeError when a type that we know has another shape. */
  normalise(request: { headers: WebhookHeaders; body: unknown }): PaymentEvent | null
}

/** How old, or how far ahead of our clock, a delivery may be; what is captured cannot be used for longer. */
export const toleranceMs = 5 * 60_000

const Body = z.object({
  type: z.string().max(128),
  timestamp: Timestamp,
  data: PaymentEvent.omit({ eventId: true, type: true, occurredAt: true }),
})

/**
 * Standard Webhooks 1.0 (standardwebhooks.com): `webhook-signature` holds one or more `v1,<base64>`, each the HMAC-SHA256 of
 * `<webhook-id>.<webhook-timestamp>.<body>`; secrets are `whsec_<base64>`. Stands for every provider, or bridge to one, that signs so.
 */
export const standardPayments: PaymentWebhook = {
  provider: 'standard',
  verify({ headers, rawBody }, secrets, now) {
    const id = singleHeader(headers, 'webhook-id')
    const timestamp = singleHeader(headers, 'webhook-timestamp')
    const sent = singleHeader(headers, 'webhook-signature')
    if (id === null || timestamp === null || sent === null) return refused(401, 'signature_missing')
    if (id.length > 128 || !/^\d{1,12}$/.test(timestamp)) return refused(401, 'signature_malformed')
    const signatures = signaturesIn(sent)
    if (signatures.length === 0) return refused(401, 'signature_malformed')
    let matches = false
    for (const secret of secrets) {
      const expected = signatureOf(secret, id, timestamp, rawBody)
      for (const signature of signatures) if (timingSafeEqual(expected, signature)) matches = true
    }
    if (!matches) return refused(401, 'signature_wrong')
    const ageMs = Math.abs(now.getTime() - Number(timestamp) * 1_000)
    return ageMs <= toleranceMs ? accepted : refused(401, 'too_old')
  },
  normalise({ headers, body }) {
    const type = z.object({ type: PaymentEvent.shape.type }).safeParse(body)
    if (!type.success) return null
    const parsed = Body.safeParse(body)
    // The id is part of what is signed.
    const eventId = singleHeader(headers, 'webhook-id')
    if (!parsed.success || eventId === null) throw new ShapeError(`The body of ${type.data.type} is not of its shape.`)
    const event = { ...parsed.data.data, eventId, type: type.data.type, occurredAt: parsed.data.timestamp }
    const about = event.type === 'subscription.cancelled' ? event.subscriptionId : event.transactionId
    if (about === null) throw new ShapeError(`${event.type} does not say what it is about.`)
    return event
  },
}

/** At most eight: more are no rotation of secrets but somebody's guesses. */
function signaturesIn(header: string): Buffer[] {
  return header
    .split(' ', 8)
    .filter((part) => part.startsWith('v1,'))
    .map((part) => bytesOfBase64(part.slice(3)))
    .filter((bytes) => bytes !== null)
}

/** The signature that a delivery must have, as bytes. */
export function signatureOf(secret: string, id: string, timestamp: string, rawBody: string | Uint8Array): Buffer {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret, 'utf8')
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(rawBody).digest()
}

/** By the name in the path. */
export const paymentWebhooks: Readonly<Record<string, PaymentWebhook>> = { standard: standardPayments }
