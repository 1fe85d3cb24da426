import { Id } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findTurn, listTurns, type Turn } from '../db/turns.ts'

const Outcome = z.enum(['replied', 'handed_over', 'silent'])

const TurnView = z.object({
  id: Id,
  conversationId: Id,
  agentId: Id,
  messageIds: z.array(Id),
  basedOnVersion: z.int(),
  outcome: Outcome,
  /** Why it is no plain reply: asked_for_person, model_unsure, budget_spent, person_answered… */
  reason: z.string().nullable(),
  language: z.string().nullable(),
  intent: z.string().nullable(),
  sentiment: z.enum(['positive', 'neutral', 'negative']).nullable(),
  confidence: z.number().nullable(),
  needsPerson: z.boolean().nullable(),
  /** Null when no model was asked. */
  model: z.string().nullable(),
  simulated: z.boolean(),
  promptVersion: z.string().nullable(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  costMicros: z.int(),
  durationMs: z.int(),
  errorClass: z.string().nullable(),
  takenAt: z.string(),
})

const TurnDetail = TurnView.extend({
  promptHash: z.string().nullable(),
  facts: z.array(z.object({ name: z.string(), value: z.string(), quote: z.string() })),
  decision: z.object({
    /** In masked words; null when no model answered, or after erasure. */
    proposed: z
      .object({
        reply: z.string().nullable(),
        confidence: z.number(),
        needsPerson: z.boolean(),
        reason: z.string().nullable(),
      })
      .nullable(),
    rules: z.array(
      z.object({ rule: z.string(), verdict: z.enum(['passed', 'lowered', 'changed']), detail: z.string().nullable() }),
    ),
  }),
  erasedAt: z.string().nullable(),
})

export const getTurns = route({
  method: 'GET',
  path: '/v1/turns',
  summary: 'What agents did with what customers wrote, latest first.',
  scope: 'conversations:read',
  personalData: 'turn',
  query: z.strictObject({
    ...pageQuery,
    conversationId: Id.optional(),
    outcome: Outcome.optional(),
    order: z.enum(['asc', 'desc']).default('desc').describe('By time.'),
  }),
  reply: pageOf(TurnView),
  async run({ query: { page, limit, conversationId, outcome, order }, caller, read }) {
    const filter = { conversationId, outcome, order, limit, offset: (page - 1) * limit }
    const { items, total } = await read((tx) => listTurns(tx, caller.organizationId, filter))
    return { items: items.map(view), page, limit, total }
  },
})

export const getTurn = route({
  method: 'GET',
  path: '/v1/turns/:id',
  summary: 'One turn with the rules that decided it.',
  scope: 'conversations:read',
  personalData: 'turn',
  refuses: { not_found: 'No turn with that id.' },
  params: z.strictObject({ id: Id }),
  reply: TurnDetail,
  async run({ params, caller, read }) {
    const turn = await read((tx) => findTurn(tx, caller.organizationId, params.id))
    if (!turn) throw new AppError('not_found', 'No turn with that id.')
    const { promptHash, facts, decision, erasedAt } = turn
    return { ...view(turn), promptHash, facts, decision, erasedAt: erasedAt?.toISOString() ?? null }
  },
})

function view(turn: Turn): z.infer<typeof TurnView> {
  const { organizationId: _o, promptHash: _h, facts: _f, decision: _d, erasedAt: _e, ...shown } = turn
  return { ...shown, costMicros: Number(turn.costMicros), takenAt: turn.takenAt.toISOString() }
}
