import { callEnded, type CallOutcome, callRecorded, callStarted, callTranscribed, type TranscriptTurn } from '@parley/contracts'
import { externalId, type Fields, fields, list, positive, text } from '../webhook/fields.ts'
import { contentHash, type Delivery, emitted, unrecognised } from '../webhook/items.ts'
import { partsOf, turnsOf } from '../webhook/transcript.ts'
import type { NormalisedItem } from '../webhook/types.ts'

export interface TavusDelivery extends Delivery {
  conversationId: string
  key: string
  /** When the provider says it happened, else when it came. */
  at: string
}

function callFields(delivery: TavusDelivery, properties: Fields) {
  return {
    callKey: `tavus:${delivery.conversationId}`,
    provider: 'tavus' as const,
    channel: 'video' as const,
    providerConversationId: delivery.conversationId,
    providerAgentId: externalId(properties.replica_id) ?? externalId(properties.face_id),
    callId: null,
    receiptId: delivery.receiptId,
  }
}

export function startedItem(delivery: TavusDelivery, properties: Fields): NormalisedItem {
  return emitted(delivery.key, callStarted, { ...callFields(delivery, properties), startedAt: delivery.at })
}

export function endedItem(delivery: TavusDelivery, properties: Fields): NormalisedItem {
  const reason = text(properties.shutdown_reason, 512) ?? text(properties.reason, 512)
  return emitted(delivery.key, callEnded, {
    ...callFields(delivery, properties),
    outcome: outcomeOf(reason),
    reason,
    direction: 'webcall',
    ourNumber: null,
    otherNumber: null,
    startedAt: null,
    endedAt: delivery.at,
    durationSeconds: null,
    judgedSuccessful: null,
    summary: null,
    collected: [],
    criteria: [],
    variables: [],
    costCredits: null,
    hasAudio: null,
  })
}

/** The reason is half free text ("internal error occurred at step x"), so by its words. */
function outcomeOf(reason: string | null): CallOutcome {
  const words = reason?.toLowerCase() ?? ''
  if (words.includes('absent')) return 'no_answer'
  return /error|exception|could_not_join|could not join/.test(words) ? 'failed' : 'answered'
}

/** The transcript starts with the instructions to the model, under the role `system`: those are nobody's words in the call. */
export function transcriptItems(delivery: TavusDelivery, properties: Fields): NormalisedItem[] {
  if (!Array.isArray(properties.transcript)) return [unrecognised(delivery, delivery.key, 'No transcript.')]
  // Sent again with other words, it is a new statement about the call.
  const version = contentHash(properties.transcript)
  const parts = partsOf(list(properties.transcript).flatMap((turn) => turnOf(fields(turn))))
  return parts.map((turns, index) =>
    emitted(`${delivery.key}:${version}:${index + 1}`, callTranscribed, {
      ...callFields(delivery, properties),
      part: index + 1,
      partCount: parts.length,
      turns,
      transcribedAt: delivery.at,
    }),
  )
}

function turnOf(turn: Fields): TranscriptTurn[] {
  const speaker = turn.role === 'assistant' ? 'agent' : turn.role === 'user' ? 'caller' : null
  return speaker === null ? [] : turnsOf(speaker, turn.content, positive(turn.seconds_from_start))
}

/** The file lies in the bucket that we named when the conversation was created. */
export function recordedItem(delivery: TavusDelivery, properties: Fields): NormalisedItem {
  const objectKey = text(properties.s3_key, 1_024)
  const bucket = text(properties.bucket_name, 255)
  if (objectKey === null || objectKey !== properties.s3_key || bucket === null) {
    return unrecognised(delivery, delivery.key, 'A recording without its place.')
  }
  return emitted(`${delivery.key}:${objectKey}`, callRecorded, {
    ...callFields(delivery, properties),
    bucket,
    objectKey,
    mimeType: null,
    sizeBytes: null,
    durationSeconds: positive(properties.duration),
    recordedAt: delivery.at,
  })
}
