import { type AskOutcome, type Model, TurnAnswer, turnSchemaName } from '@parley/providers/model'
import { createHash } from 'node:crypto'
import type { Agent } from '../db/agents.ts'
import type { StoredMessage } from '../db/messages.ts'
import type { NoProposal, Proposal } from '../rules/decide-turn.ts'
import { buildPrompt, type TurnPrompt } from '../rules/prompt.ts'

/** What came of asking, with the money it took. */
export interface Asked {
  /** Null: see `why`. */
  proposal: Proposal | null
  why: Extract<NoProposal, 'invalid' | 'refused' | 'unavailable'> | null
  /** The kind of failure, for the record. */
  errorClass: string | null
  /** For `unavailable`: true when asking again later may help. */
  worthWaiting: boolean
  retryAfterMs: number | null
  model: string
  promptTokens: number
  completionTokens: number
  /** Null: unknown, so the whole reservation counts. */
  costMicros: number | null
}

/** A prompt with the SHA-256 of all of it, hex: proves later which one a turn had, without storing it (reliability.md D36). */
export type HashedPrompt = TurnPrompt & { hash: string }

/** The prompt of a turn: what waits is asked about, everything else that is remembered is context. */
export function promptOf(agent: Agent, waiting: readonly StoredMessage[], messages: readonly StoredMessage[]): HashedPrompt {
  const asked = new Set(waiting.map(({ id }) => id))
  const canary = sha256(`canary of ${agent.organizationId} ${agent.id}`).slice(0, 16)
  const prompt = buildPrompt({ persona: agent, canary, waiting, history: messages.filter(({ id }) => !asked.has(id)) })
  return { ...prompt, hash: sha256(JSON.stringify([prompt.system, prompt.data])) }
}

/** The longest that a rejected answer and its problem can be, at three bytes a character. */
const worstRepair = { raw: '字'.repeat(8_000), problem: '字'.repeat(1_000) }

/** The most that `askModel` can cost: the answer and its one repair. */
export function worstCaseMicros(model: Model, agent: Agent, prompt: TurnPrompt): number {
  const request = requestOf(agent, prompt)
  return model.worstCaseCostMicros(request) + model.worstCaseCostMicros({ ...request, repairOf: worstRepair })
}

function requestOf(agent: Agent, { system, data }: TurnPrompt) {
  const longest = agent.maxTokens === null ? {} : { maxCompletionTokens: agent.maxTokens }
  return { system, data, schema: TurnAnswer, schemaName: turnSchemaName, ...longest }
}

/** Asks the model once, and once more when its answer was unusable. Throws only when `signal` aborts or for a mistake of ours. */
export async function askModel(
  model: Model,
  agent: Agent,
  prompt: TurnPrompt,
  options: { signal: AbortSignal; headers: Record<string, string> },
): Promise<Asked> {
  const request = { ...requestOf(agent, prompt), ...options }
  const first = await model.ask(request)
  if (first.outcome !== 'invalid') return readOutcome(model, first)
  const second = readOutcome(model, await model.ask({ ...request, repairOf: { raw: first.raw, problem: first.problem } }))
  // A model that is gone after a bad answer counts as a bad answer: waiting for it would only repeat the same question.
  const failed = second.why === 'unavailable' ? { why: 'invalid' as const, worthWaiting: false } : {}
  return {
    ...second,
    ...failed,
    promptTokens: first.usage.promptTokens + second.promptTokens,
    completionTokens: first.usage.completionTokens + second.completionTokens,
    costMicros: second.costMicros === null ? null : first.usage.costMicros + second.costMicros,
  }
}

function readOutcome(model: Model, result: AskOutcome<TurnAnswer>): Asked {
  const asked = { proposal: null, why: null, errorClass: null, worthWaiting: false, retryAfterMs: null, model: model.model }
  if (result.outcome === 'unavailable') {
    return {
      ...asked,
      why: 'unavailable',
      errorClass: result.kind,
      // An empty account and a wrong key do not mend themselves while a customer waits.
      worthWaiting: result.kind !== 'quota' && result.kind !== 'unauthorised',
      retryAfterMs: result.retryAfterMs,
      promptTokens: 0,
      completionTokens: 0,
      costMicros: result.mayBeBilled ? null : 0,
    }
  }
  const { promptTokens, completionTokens, costMicros } = result.usage
  const usage = { promptTokens, completionTokens, costMicros }
  if (result.outcome === 'answered') return { ...asked, ...usage, proposal: result.value, model: result.model }
  return { ...asked, ...usage, why: result.outcome, errorClass: result.outcome }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
