import { externalId, fields, fitsSubject, isFields, isoToUtc, text } from '../webhook/fields.ts'
import { onlyUnrecognised } from '../webhook/items.ts'
import { providerLimits } from '../webhook/limits.ts'
import { accepted, bytesOfBase64, isSignedBy, refused, singleHeader } from '../webhook/signature.ts'
import type {
  Normalised,
  NormaliseInput,
  Verdict,
  WebhookAdapter,
  WebhookHeaders,
  WebhookRequest,
  WebhookSecrets,
} from '../webhook/types.ts'
import { ShapeError } from '../webhook/types.ts'
import type { ShopDelivery } from './webhook-common.ts'
import { readerOf } from './webhook-topics.ts'

/**
 * Shopify webhooks (providers.md §3). The signature covers the body alone: topic, shop and delivery id stand in headers that
 * anybody who captured a delivery can change. So the shop is the source's own, the content decides what is a duplicate, and
 * a body that contradicts its topic is refused.
 */
export const shopifyWebhook: WebhookAdapter = {
  provider: 'shopify',
  // An order line takes about a hundred keys with its price sets, and orders have hundreds of lines.
  limits: { ...providerLimits, maxKeys: 150_000 },
  checkHeaders,
  verify,
  checkAccount,
  normalise,
}

/** The SDK knows a newer family of names with the prefix `shopify-` and prefers it when both are sent. */
function header(headers: WebhookHeaders, name: string): string | null {
  return singleHeader(headers, `shopify-${name}`) ?? singleHeader(headers, `x-shopify-${name}`)
}

/** The shop is judged under the signature: before it, a right name would be told from a wrong one. */
function checkHeaders({ headers }: Pick<WebhookRequest, 'headers'>): Verdict {
  const found = signatureIn(headers)
  return Buffer.isBuffer(found) ? accepted : found
}

function signatureIn(headers: WebhookHeaders): Buffer | Verdict {
  const sent = header(headers, 'hmac-sha256')
  if (sent === null) return refused(401, 'signature_missing')
  return bytesOfBase64(sent) ?? refused(401, 'signature_malformed')
}

function verify({ headers, rawBody }: WebhookRequest, secrets: WebhookSecrets): Verdict {
  const signature = signatureIn(headers)
  if (!Buffer.isBuffer(signature)) return signature
  // No delivery of Shopify's is empty, so an empty one is refused even with the right signature.
  if (rawBody.length === 0) return refused(401, 'body_empty')
  if (!isSignedBy(secrets.signing, [rawBody], signature)) return refused(401, 'signature_wrong')
  if (secrets.accountId === null) return refused(403, 'source_not_bound')
  return sameShop(header(headers, 'shop-domain'), secrets.accountId) ? accepted : refused(401, 'other_shop')
}

/** Some bodies name their shop, and under the signature at that: privacy topics and the shop resource itself. */
function checkAccount(body: unknown, secrets: WebhookSecrets): Verdict {
  const { shop_domain: ofPrivacy, myshopify_domain: ofShop } = fields(body)
  for (const named of [ofPrivacy, ofShop]) {
    if (typeof named === 'string' && !sameShop(named, secrets.accountId)) return refused(403, 'body_of_other_shop')
  }
  return accepted
}

function sameShop(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && a.toLowerCase() === b.toLowerCase()
}

function normalise(input: NormaliseInput): Normalised {
  const topic = text(header(input.headers, 'topic'), 128) ?? 'none'
  const named = { provider: 'shopify' as const, topic, receiptId: input.receiptId }
  const shop = externalId(input.accountId ?? header(input.headers, 'shop-domain'))?.toLowerCase() ?? null
  if (shop === null || !fitsSubject(shop)) return onlyUnrecognised(named, input.bodySha256, 'No usable shop domain.')
  const read = readerOf(topic)
  if (read === undefined) return onlyUnrecognised(named, input.bodySha256, 'Unknown topic.')
  if (!isFields(input.body)) throw new ShapeError(`The body of ${topic} must be an object.`)
  const delivery: ShopDelivery = {
    ...named,
    shop,
    triggeredAt: isoToUtc(header(input.headers, 'triggered-at')),
    eventId: header(input.headers, 'event-id') ?? header(input.headers, 'webhook-id') ?? '',
    receivedAt: input.receivedAt.toISOString(),
    contentKey: input.bodySha256.slice(0, 32),
  }
  return { topic, items: [read(delivery, input.body)] }
}
