import { z } from 'zod'
import { CallChannel, CallDirection, CallOutcome, NamedValue, TranscriptTurn } from '../entities/call.ts'
import { defineEvent } from '../define-event.ts'
import { ProviderName } from '../entities/message.ts'
import { ExternalId, Id, Timestamp, Truncated } from '../primitives.ts'

/** Stated by ingest out of ElevenLabs and Tavus webhooks, which come in any order: `call.ended` may precede `call.started`. */
const callFields = {
  /** `<provider>:<conversation id>`. */
  callKey: z.string().min(1).max(512),
  provider: ProviderName,
  channel: CallChannel,
  providerConversationId: ExternalId,
  /** ElevenLabs agent, Tavus replica (face); null where the callback leaves it out. */
  providerAgentId: ExternalId.nullable(),
  /** Our own call id as we passed it in; the only join when the answer to the outgoing request was lost. */
  callId: Id.nullable(),
  receiptId: Id,
}

export const callStarted = defineEvent({
  type: 'call.started',
  version: 1,
  key: 'callKey',
  summary: 'The agent joined a call and is ready to talk.',
  data: z.object({ ...callFields, startedAt: Timestamp }),
})

export const callEnded = defineEvent({
  type: 'call.ended',
  version: 1,
  key: 'callKey',
  summary: 'A call is over, or never came about.',
  data: z.object({
    ...callFields,
    outcome: CallOutcome,
    /** The provider's words for how it ended (a shutdown reason, a failure reason). */
    reason: z.string().max(512).nullable(),
    direction: CallDirection.nullable(),
    ourNumber: z.string().max(64).nullable(),
    otherNumber: z.string().max(64).nullable(),
    startedAt: Timestamp.nullable(),
    endedAt: Timestamp,
    durationSeconds: z.number().min(0).nullable(),
    /** The provider's own judgement: a hint for statistics, never the ground of a decision about an order. */
    judgedSuccessful: z.boolean().nullable(),
    summary: z.string().max(4_000).nullable(),
    collected: z.array(NamedValue).max(500),
    criteria: z.array(NamedValue).max(500),
    variables: z.array(NamedValue).max(500),
    costCredits: z.number().min(0).nullable(),
    hasAudio: z.boolean().nullable(),
    truncated: Truncated,
  }),
})

export const callTranscribed = defineEvent({
  type: 'call.transcribed',
  version: 1,
  key: 'callKey',
  summary: 'What was said in a call; a long one comes in several parts.',
  data: z.object({
    ...callFields,
    /** Counts from 1 to `partCount`. */
    part: z.int().min(1),
    partCount: z.int().min(1),
    turns: z.array(TranscriptTurn).max(2_000),
    transcribedAt: Timestamp,
  }),
})

export const callRecorded = defineEvent({
  type: 'call.recorded',
  version: 1,
  key: 'callKey',
  summary: 'The recording of a call lies in object storage.',
  data: z.object({
    ...callFields,
    /** Null: our own bucket, written by ingest. Otherwise the bucket into which the provider copied it. */
    bucket: z.string().max(255).nullable(),
    objectKey: z.string().min(1).max(1_024),
    mimeType: z.string().max(256).nullable(),
    sizeBytes: z.int().min(0).nullable(),
    durationSeconds: z.number().min(0).nullable(),
    recordedAt: Timestamp,
  }),
})
