import { externalId, type Fields, fields, isFields, text, word } from '../webhook/fields.ts'
import { contentHash, dedupeKey, onlyUnrecognised, unrecognised, unused } from '../webhook/items.ts'
import { providerLimits } from '../webhook/limits.ts'
import { accepted, refused } from '../webhook/signature.ts'
import type { Normalised, NormalisedItem, NormaliseInput, Verdict, WebhookAdapter, WebhookSecrets } from '../webhook/types.ts'
import { callEndedItem, callFailedItem, callRecordedItem, type ElevenLabsDelivery, transcriptItems } from './webhook-calls.ts'
import { checkSignatureHeader, verifySignature } from './webhook-signature.ts'

/**
 * ElevenLabs webhooks (providers.md §5): signed with a timestamp, of kinds that grow new fields without notice. The recording
 * comes as base64 inside JSON, tens of megabytes of it: its route checks the signature while it streams the body into object
 * storage, and hands `normalise` the envelope without the audio, beside `storedObject`.
 */
export const elevenlabsWebhook: WebhookAdapter = {
  provider: 'elevenlabs',
  // A turn of a call takes about thirty keys with its metrics, and an hour's call has hundreds of turns.
  limits: { ...providerLimits, maxKeys: 100_000 },
  checkHeaders: checkSignatureHeader,
  verify: verifySignature,
  checkAccount,
  normalise,
}

/** A webhook belongs to a workspace; a source for one agent takes only that agent's calls. */
function checkAccount(body: unknown, secrets: WebhookSecrets): Verdict {
  const agentId = fields(fields(body).data).agent_id
  if (secrets.accountId === null || agentId === undefined) return accepted
  return agentId === secrets.accountId ? accepted : refused(403, 'other_agent')
}

function normalise(input: NormaliseInput): Normalised {
  const body = fields(input.body)
  const topic = topicOf(body)
  const named = { provider: 'elevenlabs' as const, topic: topic ?? 'none', receiptId: input.receiptId }
  if (topic === null) return onlyUnrecognised(named, input.bodySha256, 'No type.')
  if (topic.startsWith('voice_') || topic === 'speech_to_text_transcription') {
    return { topic, items: [unused(`${dedupeKey(topic)}:${input.bodySha256}`, `${topic} is not used.`)] }
  }
  if (!isCallTopic(topic)) return onlyUnrecognised(named, input.bodySha256, 'Unknown type.')
  const data = fields(body.data)
  const conversationId = externalId(data.conversation_id)
  if (conversationId === null) return onlyUnrecognised(named, input.bodySha256, 'No conversation_id.')
  const delivery: ElevenLabsDelivery = {
    ...named,
    conversationId,
    // Sent again with a later time, it is a new statement about the call.
    key: dedupeKey(topic, conversationId, word(body.event_timestamp, 32) ?? contentHash(body)),
    eventTimestamp: body.event_timestamp,
    receivedAt: input.receivedAt.toISOString(),
  }
  return { topic, items: itemsOf(delivery, topic, data, input) }
}

/** An older form of transcriptions of uploaded files has no envelope. */
function topicOf(body: Fields): string | null {
  const isBareTranscript = body.type === undefined && typeof body.text === 'string' && Array.isArray(body.words)
  return isBareTranscript ? 'speech_to_text_transcription' : text(body.type, 128)
}

const callTopics = ['post_call_transcription', 'post_call_audio', 'call_initiation_failure'] as const
type CallTopic = (typeof callTopics)[number]

function isCallTopic(topic: string): topic is CallTopic {
  return callTopics.some((known) => known === topic)
}

function itemsOf(delivery: ElevenLabsDelivery, topic: CallTopic, data: Fields, input: NormaliseInput): NormalisedItem[] {
  switch (topic) {
    case 'post_call_transcription':
      if (!isFields(data.metadata) && !Array.isArray(data.transcript)) break
      return [callEndedItem(delivery, data), ...transcriptItems(delivery, data)]
    case 'call_initiation_failure':
      return [callFailedItem(delivery, data)]
    case 'post_call_audio':
      if (input.storedObject === undefined) break
      return [callRecordedItem(delivery, data, input.storedObject)]
  }
  const missing = topic === 'post_call_audio' ? 'The recording was not stored.' : 'Neither metadata nor transcript.'
  return [unrecognised(delivery, delivery.key, missing)]
}
