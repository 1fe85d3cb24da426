import { externalId, type Fields, fields, fitsSubject, isoToUtc, text } from '../webhook/fields.ts'
import { contentHash, dedupeKey, onlyUnrecognised, unrecognised, unused } from '../webhook/items.ts'
import { providerLimits } from '../webhook/limits.ts'
import { accepted, checkStaticHeader, refused } from '../webhook/signature.ts'
import type {
  Normalised,
  NormalisedItem,
  NormaliseInput,
  Verdict,
  WebhookAdapter,
  WebhookRequest,
  WebhookSecrets,
} from '../webhook/types.ts'
import { endedItem, recordedItem, startedItem, type TavusDelivery, transcriptItems } from './webhook-calls.ts'

/**
 * Tavus callbacks (providers.md §6): unsigned, and no header can be asked for, so the random token in each conversation's
 * callback_url is the whole proof. A source for one conversation takes that conversation only.
 */
export const tavusWebhook: WebhookAdapter = {
  provider: 'tavus',
  limits: { ...providerLimits, maxKeys: 50_000 },
  checkHeaders: verify,
  verify,
  checkAccount,
  normalise,
}

/** A header is checked where one was set up, at a proxy of the owner's for instance. */
function verify(request: Pick<WebhookRequest, 'headers'>, secrets: WebhookSecrets): Verdict {
  return secrets.header === undefined ? accepted : checkStaticHeader(request.headers, secrets.header)
}

/** 404: a guessed conversation must not learn that it exists (reliability.md A9). */
function checkAccount(body: unknown, secrets: WebhookSecrets): Verdict {
  if (secrets.accountId === null) return accepted
  return subjectOf(fields(body)) === secrets.accountId ? accepted : refused(404, 'other_conversation')
}

/** What a callback is about. Training and video callbacks know no conversation. */
function subjectOf(body: Fields): unknown {
  return body.conversation_id ?? body.replica_id ?? body.face_id ?? body.video_id
}

/** 2026 renamed replicas to faces and personas to PALs, and both names of one event are sent: one key for both. */
const renamed: ReadonlyMap<string, string> = new Map([
  ['system.pal_joined', 'system.replica_joined'],
  ['system.face_joined', 'system.replica_joined'],
])

function normalise(input: NormaliseInput): Normalised {
  const body = fields(input.body)
  const eventType = text(body.event_type, 128)
  const named = { provider: 'tavus' as const, topic: eventType ?? 'none', receiptId: input.receiptId }
  if (eventType === null) return withoutEventType(named, input.bodySha256, body)
  const conversationId = externalId(body.conversation_id)
  if (conversationId === null || !fitsSubject(`tavus:${conversationId}`)) {
    return onlyUnrecognised(named, input.bodySha256, 'No usable conversation_id.')
  }
  const kind = renamed.get(eventType) ?? eventType
  const delivery: TavusDelivery = {
    ...named,
    conversationId,
    key: dedupeKey(conversationId, kind),
    at: isoToUtc(body.timestamp) ?? input.receivedAt.toISOString(),
  }
  return { topic: eventType, items: itemsOf(delivery, kind, fields(body.properties)) }
}

function itemsOf(delivery: TavusDelivery, kind: string, properties: Fields): NormalisedItem[] {
  switch (kind) {
    case 'system.replica_joined':
      return [startedItem(delivery, properties)]
    case 'system.shutdown':
      return [endedItem(delivery, properties)]
    case 'application.transcription_ready':
      return transcriptItems(delivery, properties)
    case 'application.recording_ready':
      return [recordedItem(delivery, properties)]
    case 'application.recording_copy_failed':
      return [unused(delivery.key, 'The recording did not reach our bucket.')]
    case 'application.perception_analysis':
    case 'application.perception_unavailable':
      // It describes looks and moods: data we neither need nor may keep without asking (providers.md §6).
      return [unused(delivery.key, 'Perception is not carried.')]
    case 'application.post_call_action_executed':
      return [unused(`${delivery.key}:${contentHash(properties)}`, 'Actions after the call are not used.')]
  }
  return [unrecognised(delivery, `${delivery.key}:${contentHash(properties)}`, 'Unknown event_type.')]
}

/** Callbacks of trainings and videos have another shape and no event_type. */
function withoutEventType(
  named: { provider: 'tavus'; topic: string; receiptId: string },
  bodySha256: string,
  body: Fields,
): Normalised {
  const isTraining = externalId(body.replica_id ?? body.face_id ?? body.video_id) !== null && body.status !== undefined
  if (!isTraining) return onlyUnrecognised(named, bodySha256, 'No event_type.')
  return { topic: named.topic, items: [unused(`training:${bodySha256}`, 'Trainings and videos are not used.')] }
}
