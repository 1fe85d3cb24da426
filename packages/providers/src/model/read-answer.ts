import { z } from 'zod'
import { clip, parseJson } from '../http/exchange.ts'
import { type Pricing, priced, type Usage } from './cost.ts'

/** What an answer that arrived is worth. */
export type ReadAnswer<T> =
  | { outcome: 'answered'; value: T; usage: Usage; model: string }
  /** It arrived and cannot be used. `problem` names the fields; `raw` is the beginning of it, for one repair. */
  | { outcome: 'invalid'; problem: string; raw: string; usage: Usage }
  /** The model declined, or its provider's filter did. */
  | { outcome: 'refused'; message: string; usage: Usage }

const maxProblemLength = 1_000
const maxRawLength = 8_000

const Tokens = z.int().min(0)
const Completion = z.object({
  model: z.string(),
  choices: z.array(
    z.object({
      finish_reason: z.string().nullish(),
      message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
    }),
  ),
  usage: z.object({ prompt_tokens: Tokens, completion_tokens: Tokens }).nullish().catch(null),
})

/**
 * Reads a chat completion against the schema that was asked for. Everything that JSON schema cannot promise is checked here
 * again: a model may ignore "strict", be cut off, or be another provider's (reliability.md A57).
 */
export function readAnswer<T>(body: unknown, schema: z.ZodType<T>, worstCase: Usage, pricing: Pricing): ReadAnswer<T> {
  const completion = Completion.safeParse(body)
  if (!completion.success)
    return invalid(`Not a chat completion: ${z.prettifyError(completion.error)}`, JSON.stringify(body) ?? '', worstCase)
  const { model, choices, usage: counted } = completion.data
  const usage = counted ? { ...priced(counted.prompt_tokens, counted.completion_tokens, pricing), estimated: false } : worstCase

  const choice = choices[0]
  if (!choice) return invalid('The answer has no choices.', '', usage)
  const content = choice.message.content ?? ''
  if (choice.message.refusal) return { outcome: 'refused', message: clip(choice.message.refusal, maxProblemLength), usage }
  if (choice.finish_reason === 'content_filter')
    return { outcome: 'refused', message: "The provider's content filter stopped the answer.", usage }
  if (choice.finish_reason === 'length') return invalid('The answer was cut off at the token limit.', content, usage)
  if (content === '') return invalid('The answer is empty.', '', usage)

  const json = parseJson(content)
  if (json === undefined) return invalid('The answer is not JSON.', content, usage)
  const value = schema.safeParse(json)
  if (!value.success) return invalid(z.prettifyError(value.error), content, usage)
  return { outcome: 'answered', value: value.data, usage, model: clip(model, 128) }
}

export function invalid(
  problem: string,
  raw: string,
  usage: Usage,
): { outcome: 'invalid'; problem: string; raw: string; usage: Usage } {
  return { outcome: 'invalid', problem: clip(problem, maxProblemLength), raw: clip(raw, maxRawLength), usage }
}
