import type { Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import { type Agent, ensureDefaultAgent } from '../db/agents.ts'
import { findAllowance } from '../db/allowances.ts'
import { holdConversation, isCustomerSince } from '../db/conversations.ts'
import { listNewestMessages, type StoredMessage } from '../db/messages.ts'
import { findModelConnection } from '../db/model-connections.ts'
import { type Reservation, settleSpend } from '../db/spend.ts'
import type { DB } from '../db/types.ts'
import type { ModelChoice } from '../models.ts'
import { budgetAt } from '../rules/allowance.ts'
import { cappedBy, dayOf } from '../rules/caps.ts'
import {
  decideWithoutProposal,
  handOverQuietly,
  type QuietHandover,
  staySilent,
  type TurnDecision,
} from '../rules/decide-turn.ts'
import { isTooLate, waitUntil } from '../rules/quiet-time.ts'
import { type HashedPrompt, promptOf, worstCaseMicros } from './ask-model.ts'

/** A turn that this run has taken on. */
export interface Turn {
  id: string
  conversationId: string
  agent: Agent
  /** What the customer spoke last; null: not known yet. */
  language: string | null
  modelFailures: number
  waiting: StoredMessage[]
  basedOnVersion: number
  takenAt: Date
}

export type Claim =
  | { kind: 'nothing' }
  | { kind: 'later'; at: Date }
  /** Decided without asking a model. */
  | { kind: 'decided'; turn: Turn; decision: TurnDecision; errorClass: string | null }
  /** The model is to be asked, once the money for it is set aside. */
  | { kind: 'ask'; turn: Turn; prompt: HashedPrompt; reservation: Reservation; choice: ModelChoice }

export interface ClaimRequest {
  organizationId: string
  conversationId: string
  /** For what this claim may create. */
  ids: { turn: string; reservation: string; agent: string }
}

/**
 * Takes on what waits in a conversation: all of it, as one turn. Nothing waits when an earlier run has answered already, so a job
 * that runs twice answers once.
 */
export async function claimTurn(tx: Tx<DB>, app: App, request: ClaimRequest): Promise<Claim> {
  const { organizationId, conversationId, ids } = request
  const { config } = app
  const now = app.now()
  const since = {
    midnight: new Date(`${dayOf(now)}T00:00:00.000Z`),
    loop: new Date(now.getTime() - config.AGENTS_BOT_LOOP_WINDOW_MS),
  }
  // One flight: Postgres takes them in this order, so the messages are read once the conversation is held.
  const [conversation, remembered, agent, allowance, connection] = await Promise.all([
    holdConversation(tx, organizationId, conversationId, since),
    listNewestMessages(tx, organizationId, conversationId),
    ensureDefaultAgent(tx, organizationId, ids.agent),
    findAllowance(tx, organizationId),
    findModelConnection(tx, organizationId),
  ])
  if (!conversation) return { kind: 'nothing' }
  // The run before this one died: whether its call was billed nobody knows, so it counts in full.
  if (conversation.openReservationId !== null) await settleSpend(tx, organizationId, conversation.openReservationId, null)

  // A deleted message keeps its place, without its words.
  const messages = remembered.filter(({ text }) => text !== '')
  const waiting = messages.filter(
    (message) => message.wantsReply && message.turnId === null && message.version > conversation.closedVersion,
  )
  const [oldest, newest] = [waiting[0], waiting.at(-1)]
  if (!oldest || !newest) return { kind: 'nothing' }
  if (conversation.retryAt !== null && conversation.retryAt > now) return { kind: 'later', at: conversation.retryAt }

  const quietMs = agent.quietMs ?? config.AGENTS_QUIET_MS
  const quiet = { quietMs, maxMs: Math.max(quietMs, config.AGENTS_QUIET_MAX_MS) }
  const until = waitUntil({ oldestAt: oldest.seenAt, newestAt: newest.seenAt }, quiet, now)
  if (until) return { kind: 'later', at: until }

  const turn: Turn = {
    id: conversation.openTurnId ?? ids.turn,
    conversationId,
    agent,
    language: conversation.language,
    modelFailures: conversation.modelFailures,
    waiting,
    // Everything that was read, also what came after the customer's last words.
    basedOnVersion: remembered.at(-1)?.version ?? newest.version,
    takenAt: now,
  }
  if (agent.status !== 'active') return { kind: 'decided', turn, decision: staySilent('agent_inactive'), errorClass: null }

  const month = budgetAt(allowance, now)
  if (isTooLate(newest.seenAt, now)) return quietly(turn, 'came_too_late')
  if (month.messagesStopped) return quietly(turn, 'messages_used_up')

  const recent = { today: conversation.turnsToday, inLoopWindow: conversation.answersInWindow }
  const caps = { turnsPerDay: config.AGENTS_CONVERSATION_TURNS_PER_DAY, loopTurns: config.AGENTS_BOT_LOOP_TURNS }
  const capped = cappedBy(recent, caps)
  if (capped) return withoutModel(turn, capped)

  const { customersStoppedAt } = month
  if (customersStoppedAt && !(await isCustomerSince(tx, organizationId, conversationId, month.startsAt, customersStoppedAt))) {
    return withoutModel(turn, 'customers_used_up')
  }
  if (month.stopped) return withoutModel(turn, 'budget_spent')

  const prompt = promptOf(agent, waiting, messages)
  const choice = app.models.choose(agent.model, connection)
  const reservation = {
    id: ids.reservation,
    turnId: turn.id,
    conversationId,
    day: dayOf(now),
    amountMicros: worstCaseMicros(choice.model, agent, prompt),
    capMicros: config.AGENTS_DAILY_CAP_MICROS,
    month,
  }
  return { kind: 'ask', turn, prompt, reservation, choice }
}

function quietly(turn: Turn, why: QuietHandover): Claim {
  return { kind: 'decided', turn, decision: handOverQuietly(why), errorClass: why }
}

function withoutModel(turn: Turn, why: 'bot_loop' | 'turns_per_day' | 'budget_spent' | 'customers_used_up'): Claim {
  return { kind: 'decided', turn, decision: decideWithoutProposal(why, turn.agent, turn.language), errorClass: why }
}
