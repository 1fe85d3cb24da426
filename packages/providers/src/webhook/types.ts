import type { EventType, ProviderName } from '@parley/contracts'
import type { JsonLimits } from '@parley/contracts/json'

/** Header names in lower case, as Node gives them. */
export type WebhookHeaders = Readonly<Record<string, string | string[] | undefined>>

/** A delivery as it came in; nothing of it is trusted yet. */
export interface WebhookRequest {
  headers: WebhookHeaders
  rawBody: Uint8Array
  receivedAt: Date
}

/** What a webhook source knows about its sender. The source itself is found by the secret token in the path. */
export interface WebhookSecrets {
  /** Keys for signatures: the current one first, then the previous one while a rotation lasts. */
  signing: readonly string[]
  /** A header that we told the provider to send, for providers that sign nothing. */
  header?: { name: string; values: readonly string[] } | undefined
  /** The one account this source is for: Whapi channel, shop domain, ElevenLabs agent, Tavus conversation. Null: not bound. */
  accountId: string | null
}

/** `reason` is for metrics and logs and is never sent to the caller; it holds nothing of the request. */
export type Verdict = { ok: true } | { ok: false; status: 401 | 403 | 404; reason: string }

/** A file that the route streamed into object storage before normalising, in place of a body too large to hold. */
export interface StoredObject {
  key: string
  mimeType: string | null
  sizeBytes: number
}

export interface NormaliseInput {
  headers: WebhookHeaders
  body: unknown
  receivedAt: Date
  accountId: string | null
  receiptId: string
  /** Hex. */
  bodySha256: string
  storedObject?: StoredObject | undefined
}

/**
 * What may become so again, in the same words: a phone logged out twice, a consent given and withdrawn and given, a demand made anew.
 * It is told when its value differs from the one last told of its subject, or that was told longer ago than `againAfterMs`.
 */
export interface ToldState {
  subject: string
  value: string
  /** For demands: how long the provider may still be repeating one delivery. Null: the same value is never news. */
  againAfterMs: number | null
}

export interface NormalisedItem {
  /** Unique within provider and account: the same fact delivered again has the same key (reliability.md D8). */
  dedupeKey: string
  /** Absent for a fact, which happens once. */
  state?: ToldState
  /** Null: recognised, and deliberately of no use to us. */
  event: { type: EventType; data: unknown } | null
  /** Why there is no event, or what of the content did not fit one. Holds no personal data. */
  note?: string
}

export interface Normalised {
  topic: string
  /** Empty: the delivery holds nothing, as Whapi's empty lists do. */
  items: NormalisedItem[]
}

/**
 * One provider's webhooks, pure: no I/O, no clock. Used in this order: `checkHeaders` before the body, `verify` on the raw bytes, `parseJson` with `limits`,
 * `checkAccount` and `normalise` on the parsed body.
 */
export interface WebhookAdapter {
  provider: ProviderName
  /** Where the provider's honest bodies exceed our defaults. */
  limits: Partial<JsonLimits>
  /** What can be refused before the body is there: `verify` refuses it too. Never throws. */
  checkHeaders(request: Omit<WebhookRequest, 'rawBody'>, secrets: WebhookSecrets): Verdict
  /** Is it really from the provider? Constant time in the secrets; never throws. */
  verify(request: WebhookRequest, secrets: WebhookSecrets): Verdict
  /** Is the body about the account this source is for? Never throws. */
  checkAccount(body: unknown, secrets: WebhookSecrets): Verdict
  /**
   * The facts in a body. Never throws on odd input (what does not fit becomes `webhook.unrecognised`), except ShapeError when
   * the body contradicts its topic and acting on it would do harm.
   */
  normalise(input: NormaliseInput): Normalised
}

/** The body is not what its topic says, e.g. an order sent as an erasure request (reliability.md A7): answer 400. */
export class ShapeError extends Error {
  override name = 'ShapeError'
}
