import { z } from 'zod'

export const turnIntents = [
  'greeting',
  'order_status',
  'return_request',
  'product_question',
  'opening_hours',
  'complaint',
  'human_request',
  'thanks',
  'other',
] as const

/**
 * What a model proposes for one turn of a conversation. A proposal only: a pure rule over database facts decides
 * (reliability.md D33). Strict and without optional fields, as OpenAI's structured output demands (providers.md §7); a value
 * outside these bounds is refused, never repaired by us (A57).
 */
export const TurnAnswer = z.strictObject({
  /** Of what the customer wrote. */
  language: z.enum(['en', 'fr', 'es', 'ar', 'unknown']),
  intent: z.enum(turnIntents),
  sentiment: z.enum(['positive', 'neutral', 'negative']),
  /** What the customer stated, each with the words that say so. */
  facts: z
    .array(z.strictObject({ name: z.string().min(1).max(64), value: z.string().max(500), quote: z.string().max(500) }))
    .max(20),
  reply: z.string().min(1).max(4_000).nullable(),
  quick_replies: z.array(z.strictObject({ id: z.string().min(1).max(128), title: z.string().min(1).max(25) })).max(3),
  needs_person: z.boolean(),
  /** Why a person is needed, for that person; null when none is. */
  reason: z.string().max(500).nullable(),
  confidence: z.number().min(0).max(1),
})
export type TurnAnswer = z.infer<typeof TurnAnswer>

/** The name under which the turn schema travels; the simulator answers this one by its own rules. */
export const turnSchemaName = 'turn_answer'

/** The data block with what the customer wrote; everything else in a prompt is background. */
export const customerBlockName = 'customer'
