import {
  callEnded,
  callRecorded,
  type CallOutcome,
  callTranscribed,
  type NamedValue,
  type TranscriptTurn,
} from '@parley/contracts'
import {
  Cuts,
  externalId,
  type Fields,
  fields,
  fitsSubject,
  flag,
  list,
  momentToIso,
  positive,
  secondsToIso,
  word,
} from '../webhook/fields.ts'
import { type Delivery, emitted, emittedIfItFits, unrecognised } from '../webhook/items.ts'
import { partsOf, turnsOf } from '../webhook/transcript.ts'
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
  const cuts = new Cuts()
  return emitted(delivery.key, callEnded, {
    ...call,
    outcome: outcomeOf(data),
    reason: cuts.text('reason', metadata.termination_reason, 512),
    direction: directionOf(metadata.phone_call, phone),
    ourNumber: word(phone.agent_number, 64),
    // A number by the documentation's table, a text in its SIP example.
    otherNumber: word(phone.external_number, 64),
    startedAt,
    endedAt: endOf(metadata, durationSeconds) ?? toldAt(delivery),
    durationSeconds,
    judgedSuccessful: judgementOf(analysis.call_successful),
    summary: cuts.text('summary', analysis.transcript_summary, 4_000),
    collected: namedValues(cuts, 'collected', valuesIn(analysis.data_collection_results, 'value')),
    criteria: namedValues(cuts, 'criteria', valuesIn(analysis.evaluation_criteria_results, 'result')),
    variables: variablesOf(cuts, data),
    costCredits: positive(metadata.cost),
    hasAudio: flag(data.has_audio),
    ...cuts.said(),
  })
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
  const cuts = new Cuts()
  const reason = cuts.text('reason', data.failure_reason, 512)
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
    variables: variablesOf(cuts, data),
    costCredits: null,
    hasAudio: null,
    ...cuts.said(),
  })
}

/** What was said, in as many parts as it takes. Turns without words are tool calls. */
export function transcriptItems(delivery: ElevenLabsDelivery, data: Fields): NormalisedItem[] {
  const call = callFields(delivery, data)
  if (!fitsSubject(call.callKey)) return []
  const parts = partsOf(list(data.transcript).flatMap((turn) => turnOf(fields(turn))))
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

function turnOf(turn: Fields): TranscriptTurn[] {
  if (turn.role !== 'agent' && turn.role !== 'user') return []
  return turnsOf(turn.role === 'agent' ? 'agent' : 'caller', turn.message, positive(turn.time_in_call_secs))
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
function variablesOf(cuts: Cuts, data: Fields): NamedValue[] {
  const all = fields(fields(data.conversation_initiation_client_data).dynamic_variables)
  const ours = Object.entries(all).filter(([name]) => !name.startsWith('system__') && !name.startsWith('secret__'))
  return namedValues(cuts, 'variables', ours)
}

/** Of `{ <name>: { <key>: answer } }` the names and answers. */
function valuesIn(results: unknown, key: string): [string, unknown][] {
  return Object.entries(fields(results)).map(([name, result]) => [name, fields(result)[key]])
}

/** What each of three lists may take of an event. */
const maxValuesBytes = 14 * 1_024

/** Answers as a list; null is none, and what is neither text, number nor truth is left out and said to be. */
function namedValues(cuts: Cuts, list: string, values: readonly [string, unknown][]): NamedValue[] {
  const named = values.flatMap(([name, value]) => {
    const known = cuts.text(list, name, 128)
    if (known === null || value === null || value === undefined) return []
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return [{ name: known, value: cuts.text(list, String(value), 1_000) ?? '' }]
    cuts.note(list)
    return []
  })
  return cuts.list(list, named, 500, maxValuesBytes)
}
