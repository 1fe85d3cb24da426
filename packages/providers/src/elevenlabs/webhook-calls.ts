import {
  callEnded,
  callRecorded,
  type CallOutcome,
  callTranscribed,
  type NamedValue,
  type TranscriptTurn,
} from '@parley/contracts'
import {
  externalId,
  type Fields,
  fields,
  fitsSubject,
  flag,
  jsonBytes,
  list,
  maxEventBytes,
  momentToIso,
  positive,
  secondsToIso,
  text,
  word,
} from '../webhook/fields.ts'
import { type Delivery, emitted, emittedIfItFits, unrecognised } from '../webhook/items.ts'
import { partsOf } from '../webhook/transcript.ts'
import type { NormalisedItem, StoredObject } from '../webhook/types.ts'

export interface ElevenLabsDelivery extends Delivery {
  conversationId: string
  key: string
  /** Unix seconds, or ISO 8601 text. */
  eventTimestamp: unknown
  receivedAt: string
}

/** What we pass into a call to find it again when the answer to our request is lost (providers.md §5). */
const callIdVariable = 'parley_call_id'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

function callFields(delivery: ElevenLabsDelivery, data: Fields) {
  const client = fields(data.conversation_initiation_client_data)
  const candidates = [fields(client.dynamic_variables)[callIdVariable], data.user_id, client.user_id]
  const callId = candidates.find((id): id is string => typeof id === 'string' && uuid.test(id)) ?? null
  return {
    callKey: `elevenlabs:${delivery.conversationId}`,
    provider: 'elevenlabs' as const,
    channel: 'voice' as const,
    providerConversationId: delivery.conversationId,
    providerAgentId: externalId(data.agent_id),
    callId,
    receiptId: delivery.receiptId,
  }
}

/** A finished call, as `post_call_transcription` tells it. A voicemail is a finished call to the provider. */
export function callEndedItem(delivery: ElevenLabsDelivery, data: Fields): NormalisedItem {
  const call = callFields(delivery, data)
  if (!fitsSubject(call.callKey)) return unrecognised(delivery, delivery.key, 'A conversation id that no key can hold.')
  const metadata = fields(data.metadata)
  const phone = fields(metadata.phone_call)
  const analysis = fields(data.analysis)
  const startedAt = momentToIso(metadata.start_time_unix_secs)
  const durationSeconds = positive(metadata.call_duration_secs)
  const whole = {
    ...call,
    outcome: outcomeOf(data),
    reason: text(metadata.termination_reason, 512),
    direction: directionOf(metadata.phone_call, phone),
    ourNumber: word(phone.agent_number, 64),
    // A number by the documentation's table, a text in its SIP example.
    otherNumber: word(phone.external_number, 64),
    startedAt,
    endedAt: endOf(metadata, durationSeconds) ?? toldAt(delivery),
    durationSeconds,
    judgedSuccessful: judgementOf(analysis.call_successful),
    summary: text(analysis.transcript_summary, 4_000),
    collected: namedValues(analysis.data_collection_results, 'value'),
    criteria: namedValues(analysis.evaluation_criteria_results, 'result'),
    variables: variablesOf(data),
    costCredits: positive(metadata.cost),
    hasAudio: flag(data.has_audio),
  }
  if (jsonBytes(whole) <= maxEventBytes) return emitted(delivery.key, callEnded, whole)
  // How the call ended matters most: what does not fit stays in the receipt.
  return emitted(
    delivery.key,
    callEnded,
    { ...whole, criteria: [], variables: [], collected: [] },
    'Collected values were too large.',
  )
}

function outcomeOf(data: Fields): CallOutcome {
  if (data.status === 'failed') return 'failed'
  const detection = fields(fields(fields(data.metadata).features_usage).voicemail_detection)
  return detection.used === true ? 'voicemail' : 'answered'
}

function directionOf(call: unknown, phone: Fields): 'inbound' | 'outbound' | 'webcall' | null {
  if (phone.direction === 'inbound' || phone.direction === 'outbound') return phone.direction
  return call === undefined || call === null ? 'webcall' : null
}

function endOf(metadata: Fields, durationSeconds: number | null): string | null {
  const start = momentToIso(metadata.start_time_unix_secs)
  return start !== null && durationSeconds !== null ? secondsToIso(Date.parse(start) / 1_000 + durationSeconds) : null
}

function judgementOf(value: unknown): boolean | null {
  return value === 'success' ? true : value === 'failure' ? false : null
}

/** A call that never came about. The numbers lie in the carrier's own words: Twilio's From and To, or those of SIP. */
export function callFailedItem(delivery: ElevenLabsDelivery, data: Fields): NormalisedItem {
  const call = callFields(delivery, data)
  if (!fitsSubject(call.callKey)) return unrecognised(delivery, delivery.key, 'A conversation id that no key can hold.')
  const carrier = fields(fields(data.metadata).body)
  const reason = text(data.failure_reason, 512)
  return emittedIfItFits(delivery, delivery.key, callEnded, {
    ...call,
    outcome: reason === 'busy' ? 'busy' : reason === 'no-answer' ? 'no_answer' : 'failed',
    reason,
    direction: 'outbound',
    ourNumber: word(carrier.From ?? carrier.from_number, 64),
    otherNumber: word(carrier.To ?? carrier.to_number, 64),
    startedAt: null,
    endedAt: toldAt(delivery),
    durationSeconds: null,
    judgedSuccessful: null,
    summary: null,
    collected: [],
    criteria: [],
    variables: variablesOf(data),
    costCredits: null,
    hasAudio: null,
  })
}

/** What was said, in as many parts as it takes. Turns without words are tool calls. */
export function transcriptItems(delivery: ElevenLabsDelivery, data: Fields): NormalisedItem[] {
  const call = callFields(delivery, data)
  if (!fitsSubject(call.callKey)) return []
  const parts = partsOf(list(data.transcript).flatMap((turn) => turnOf(fields(turn)) ?? []))
  return parts.map((turns, index) =>
    emitted(`${delivery.key}:transcript:${index + 1}`, callTranscribed, {
      ...call,
      part: index + 1,
      partCount: parts.length,
      turns,
      transcribedAt: toldAt(delivery),
    }),
  )
}

function turnOf(turn: Fields): TranscriptTurn | null {
  const words = text(turn.message, 8_192)
  if (words === null || (turn.role !== 'agent' && turn.role !== 'user')) return null
  return { speaker: turn.role === 'agent' ? 'agent' : 'caller', text: words, offsetSeconds: positive(turn.time_in_call_secs) }
}

export function callRecordedItem(delivery: ElevenLabsDelivery, data: Fields, stored: StoredObject): NormalisedItem {
  const call = callFields(delivery, data)
  if (!fitsSubject(call.callKey)) return unrecognised(delivery, delivery.key, 'A conversation id that no key can hold.')
  return emitted(delivery.key, callRecorded, {
    ...call,
    bucket: null,
    objectKey: stored.key,
    mimeType: stored.mimeType,
    sizeBytes: stored.sizeBytes,
    durationSeconds: null,
    recordedAt: toldAt(delivery),
  })
}

function toldAt(delivery: ElevenLabsDelivery): string {
  return momentToIso(delivery.eventTimestamp) ?? delivery.receivedAt
}

/** Variables of ours, without the provider's own and without those it marks as secret. */
function variablesOf(data: Fields): NamedValue[] {
  const all = fields(fields(data.conversation_initiation_client_data).dynamic_variables)
  return Object.entries(all)
    .filter(([name]) => !name.startsWith('system__') && !name.startsWith('secret__'))
    .flatMap(([name, value]) => namedValue(name, value) ?? [])
    .slice(0, 50)
}

/** `{ <name>: { <key>: answer } }` as a list; answers that are not plain values are left out. */
function namedValues(results: unknown, key: string): NamedValue[] {
  return Object.entries(fields(results))
    .flatMap(([name, result]) => namedValue(name, fields(result)[key]) ?? [])
    .slice(0, 50)
}

function namedValue(name: string, value: unknown): NamedValue | null {
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  const known = text(name, 128)
  return isPlain && known !== null ? { name: known, value: text(String(value), 1_000) ?? '' } : null
}
