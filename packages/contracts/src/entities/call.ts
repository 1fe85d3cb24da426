import { z } from 'zod'

export const CallChannel = z.enum(['voice', 'video'])
export type CallChannel = z.infer<typeof CallChannel>

export const CallDirection = z.enum(['inbound', 'outbound', 'webcall'])
export type CallDirection = z.infer<typeof CallDirection>

export const CallOutcome = z.enum(['answered', 'no_answer', 'busy', 'failed', 'voicemail'])
export type CallOutcome = z.infer<typeof CallOutcome>

/** One turn of a call. `offsetSeconds` counts from the start of the call. The model's instructions are never a turn. */
export const TranscriptTurn = z.object({
  speaker: z.enum(['agent', 'caller']),
  text: z.string().max(16_384),
  offsetSeconds: z.number().min(0).nullable(),
})
export type TranscriptTurn = z.infer<typeof TranscriptTurn>

/** Something named that a call brought out: a collected answer, a judged criterion, a variable we had passed in. */
export const NamedValue = z.object({ name: z.string().min(1).max(128), value: z.string().max(1_000) })
export type NamedValue = z.infer<typeof NamedValue>
