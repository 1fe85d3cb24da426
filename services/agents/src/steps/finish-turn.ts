import { replyProposed, turnTaken } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import { closeTurn, type TurnClosed } from '../db/conversations.ts'
import { forgetOldMessages, messagesKept } from '../db/messages.ts'
import { settleSpend } from '../db/spend.ts'
import { insertTurn } from '../db/turns.ts'
import type { DB } from '../db/types.ts'
import { decisionRecord, staySilent, type TurnDecision } from '../rules/decide-turn.ts'
import type { Asked, HashedPrompt } from './ask-model.ts'
import type { Turn } from './claim-turn.ts'

export interface FinishedTurn {
  turn: Turn
  decision: TurnDecision
  durationMs: number
  errorClass: string | null
  /** Null when no model was asked. */
  asked: (Asked & { prompt: HashedPrompt; reservationId: string; reservedMicros: number; simulated: boolean }) | null
}

/**
 * Records a turn and states it, with the money settled in the same commit. When a person answered while the model was thinking, or
 * the customer had their data erased, the draft ends here; when they changed the words that it answers, another turn reads them anew.
 * Gives whether that other turn is needed.
 */
export async function finishTurn(
  tx: Tx<DB>,
  { emit }: CommitTools,
  app: App,
  organizationId: string,
  finished: FinishedTurn,
): Promise<{ isOvertaken: boolean }> {
  const { turn, asked, durationMs, errorClass } = finished
  const { conversationId, basedOnVersion, takenAt } = turn
  const proposed = asked?.proposal ?? null
  const language = proposed === null || proposed.language === 'unknown' ? null : proposed.language
  const versions = turn.waiting.map(({ version }) => version)
  const revisions = turn.waiting.map(({ revision }) => revision)
  const now = await closeTurn(tx, organizationId, conversationId, { turnId: turn.id, versions, revisions, language })
  const erasedAt = now?.erasedAt && now.erasedAt >= takenAt ? now.erasedAt : null
  const overtaken = now !== undefined && !now.readsTheSame
  const decided = overtaken ? unsaid(finished.decision) : finished.decision
  const decision = overruled(decided, basedOnVersion, erasedAt ? undefined : now)
  // What was made of words that do not stand any more is kept nowhere.
  const proposal = overtaken ? null : proposed

  const numbers = {
    outcome: decision.outcome,
    reason: decision.reason ?? (overtaken ? wordsChanged : null),
    language,
    intent: proposal?.intent ?? null,
    sentiment: proposal?.sentiment ?? null,
    confidence: proposal?.confidence ?? null,
    model: asked?.model ?? null,
    simulated: asked?.simulated ?? app.models.simulated,
    promptVersion: asked?.prompt.version ?? null,
    promptTokens: asked?.promptTokens ?? 0,
    completionTokens: asked?.completionTokens ?? 0,
    costMicros: asked ? (asked.costMicros ?? asked.reservedMicros) : 0,
    durationMs,
  }
  const messageIds = turn.waiting.map(({ id }) => id)
  const settled = asked && settleSpend(tx, organizationId, asked.reservationId, asked.costMicros)
  const inserted = insertTurn(tx, organizationId, {
    ...numbers,
    id: turn.id,
    conversationId,
    agentId: turn.agent.id,
    messageIds,
    basedOnVersion,
    promptHash: asked?.prompt.hash ?? null,
    needsPerson: proposal?.needs_person ?? null,
    errorClass,
    facts: JSON.stringify(erasedAt ? [] : decision.facts),
    decision: JSON.stringify(erasedAt ? { proposed: null, rules: [] } : decisionRecord(decision, proposal)),
    erasedAt,
    takenAt,
  })
  const forgotten =
    basedOnVersion > messagesKept ? forgetOldMessages(tx, organizationId, conversationId, basedOnVersion) : undefined
  await Promise.all([settled, inserted, forgotten])

  // In this order: whoever owns the conversation hands it over first, and then lets the sentence that says so pass.
  emit(turnTaken, { ...numbers, conversationId, turnId: turn.id, messageIds })
  if (decision.text !== null) {
    emit(replyProposed, {
      conversationId,
      turnId: turn.id,
      basedOnVersion,
      text: decision.text,
      quickReplies: decision.quickReplies,
      confidence: proposal?.confidence ?? 0,
      model: asked?.model ?? 'none',
      simulated: numbers.simulated,
      handOver: decision.outcome === 'handed_over',
    })
  }
  return { isOvertaken: overtaken && !erasedAt }
}

const wordsChanged = 'words_changed'

/** The draft for words that were edited or deleted while it was made. */
function unsaid({ rules }: TurnDecision): TurnDecision {
  const why = { rule: wordsChanged, verdict: 'lowered', detail: null } as const
  return { outcome: 'silent', text: null, quickReplies: [], reason: null, facts: [], rules: [...rules, why] }
}

/** `now` is undefined when the words that the draft answers are gone. */
function overruled(decided: TurnDecision, basedOnVersion: number, now: TurnClosed | undefined): TurnDecision {
  if (!now) return staySilent('erased', decided)
  const personAnswered = now.withPerson || now.lastHumanVersion > basedOnVersion
  return personAnswered && decided.outcome !== 'silent' ? staySilent('person_answered', decided) : decided
}
