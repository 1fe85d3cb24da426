import type { z } from 'zod'
import { type Prompt, toMessages } from './prompt.ts'
import { toStrictJsonSchema } from './strict-schema.ts'

/** Millionths of the account's currency per million tokens: 0.15 USD per million is 150,000. */
export interface Pricing {
  promptMicrosPerMillion: number
  completionMicrosPerMillion: number
}

export interface Usage {
  promptTokens: number
  completionTokens: number
  costMicros: number
  /** True when the provider's own count was missing or unreadable: then these are upper bounds. */
  estimated: boolean
}

/** An upper bound of the tokens in a text: one per UTF-8 byte, the longest a byte-pair encoding can get. About 4 times too high for English. */
export function estimateTokens(text: string): number {
  return Buffer.byteLength(text)
}

/** Tokens that frame each message and the answer, generously. */
const tokensPerMessage = 16

/** The most that one try can use; for reserving spend before the call (reliability.md D37). */
export function worstCaseUsage(request: Prompt & { schema: z.ZodType }, maxCompletionTokens: number, pricing: Pricing): Usage {
  const messages = toMessages(request)
  const prompt = messages.reduce((sum, { content }) => sum + estimateTokens(content) + tokensPerMessage, tokensPerMessage)
  const promptTokens = prompt + estimateTokens(JSON.stringify(toStrictJsonSchema(request.schema)))
  return { ...priced(promptTokens, maxCompletionTokens, pricing), estimated: true }
}

/** Cost rounded up to a whole micro, so that many small calls never add up to nothing. */
export function priced(promptTokens: number, completionTokens: number, pricing: Pricing): Omit<Usage, 'estimated'> {
  const costMicros = Math.ceil(
    (promptTokens * pricing.promptMicrosPerMillion + completionTokens * pricing.completionMicrosPerMillion) / 1_000_000,
  )
  return { promptTokens, completionTokens, costMicros }
}
