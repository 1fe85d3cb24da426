import { hash, randomUUIDv7 } from 'node:crypto'
import { openWebhook, type WebhookAdapter, type WebhookHeaders, webhookAdapters } from '@parley/providers/webhook'
import { AppError, classify, currentTraceparent, type ErrorCode } from '@parley/runtime'
import type { App } from '../app.ts'
import { storeRecording } from '../recordings.ts'
import { keptHeaders } from '../rules/kept-headers.ts'
import type { Stored } from '../store-deliveries.ts'
import { judgeDelivery } from './judge-delivery.ts'
import type { KnownSource } from './source-cache.ts'

/** What a refused sender hears: the same words whatever was wrong, so that guessing teaches nothing. */
const refusals: Record<401 | 403 | 404, { code: ErrorCode; message: string }> = {
  401: { code: 'unauthenticated', message: 'The delivery could not be verified.' },
  403: { code: 'forbidden', message: 'The delivery is not about the account of this source.' },
  404: { code: 'not_found', message: 'There is no such webhook.' },
}

/** A refused delivery; `reason` is for the metrics, never for the sender. */
export class Refused extends AppError {
  readonly reason: string

  constructor(status: 401 | 403 | 404, reason: string) {
    super(refusals[status].code, refusals[status].message)
    this.reason = reason
  }
}

/** Throws Refused when a delivery's headers show already that it will not be taken: before a byte of its body is. */
export function checkHeaders(source: KnownSource, request: { headers: WebhookHeaders; receivedAt: Date }): void {
  const verdict = adapterOf(source).checkHeaders(request, source.secrets)
  if (!verdict.ok) throw new Refused(verdict.status, verdict.reason)
}

/** A refusal of what came beyond a minute's worth, with the seconds until there is more. */
export class TooMuch extends AppError {
  readonly secondsLeft: number

  constructor(secondsLeft: number) {
    super('too_many_requests', 'More than a minute may bring. Try again later.')
    this.secondsLeft = secondsLeft
  }
}

/** Throws TooMuch while the source, or its organization over all sources, has sent its minute's worth. */
export function checkAllowance({ allowances }: Pick<App, 'allowances'>, { id, organizationId }: KnownSource): void {
  const secondsLeft = Math.max(allowances.source.secondsLeft(id), allowances.organization.secondsLeft(organizationId))
  if (secondsLeft > 0) throw new TooMuch(secondsLeft)
}

/**
 * Takes one delivery: verify, parse, normalise, store with others in one commit. Resolves when it is committed, and only then may the
 * sender hear 200 (reliability.md D1). Throws Refused, TooMuch, BodyError, or AppError `invalid` and `unavailable`; nothing is stored then.
 */
export async function takeDelivery(
  app: App,
  source: KnownSource,
  request: { headers: WebhookHeaders; rawBody: Buffer },
): Promise<Stored> {
  const receivedAt = app.now()
  const opened = openWebhook(adapterOf(source), { ...request, receivedAt }, source.secrets)
  if (!('body' in opened)) throw new Refused(opened.verdict.status, opened.verdict.reason)

  // Again: deliveries that came in together were all let in before the first of them was paid for.
  checkAllowance(app, source)
  const receiptId = randomUUIDv7()
  const { organizationId, provider } = source
  const bodySha256 = hash('sha256', request.rawBody, 'hex')
  const recording =
    provider === 'elevenlabs' ? await storeRecording(app.putObject, { organizationId, receiptId, body: opened.body }) : undefined
  const headers = keptHeaders(request.headers)
  const judgement = judgeDelivery(
    organizationId,
    provider,
    {
      headers,
      body: recording?.body ?? opened.body,
      receivedAt,
      accountId: source.secrets.accountId,
      receiptId,
      bodySha256,
      storedObject: recording?.storedObject,
    },
    { traceparent: currentTraceparent(), at: receivedAt },
  )
  const body = recording === undefined ? request.rawBody : Buffer.from(JSON.stringify(recording.body))
  // Only what is authentic is paid for: who knows an address and no secret cannot use up its owner's minute.
  app.allowances.source.spend(source.id, Math.max(1, judgement.items.length), body.length)
  app.allowances.organization.spend(organizationId, Math.max(1, judgement.items.length), body.length)
  try {
    return await app.deliveries.add({
      ...judgement,
      receiptId,
      organizationId,
      sourceId: source.id,
      provider,
      headers,
      body,
      bodySha256,
      size: request.rawBody.length,
      receivedAt,
      touch: shouldTouch(source, receivedAt.getTime()),
    })
  } catch (cause) {
    // Nothing was committed that we know of. The sender tries again, and finds its first try if there was one.
    if (classify(cause) === 'bug') throw cause
    throw new AppError('unavailable', 'The delivery cannot be stored right now. Try again.', { cause })
  }
}

const touchEveryMs = 60_000

function shouldTouch(source: KnownSource, nowMs: number): boolean {
  if (nowMs - source.touchedAtMs < touchEveryMs) return false
  source.touchedAtMs = nowMs
  return true
}

/** How a source's deliveries are read, at first and when they are replayed. */
export function adapterOf(source: Pick<KnownSource, 'provider'>): WebhookAdapter {
  return webhookAdapters[source.provider]
}
