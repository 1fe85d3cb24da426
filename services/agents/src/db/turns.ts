import { type Tx, totalOf } from '@parley/runtime'
import { type Insertable, type Selectable, sql } from 'kysely'
import type { DB, Turns } from './types.ts'

export type Turn = Selectable<Turns>
export type NewTurn = Omit<Insertable<Turns>, 'organizationId'>

export async function insertTurn(tx: Tx<DB>, organizationId: string, turn: NewTurn): Promise<void> {
  await sql`
    insert into turns (
      organization_id, id, conversation_id, agent_id, message_ids, based_on_version, outcome, reason, language, intent, sentiment, facts,
      confidence, needs_person, model, simulated, prompt_version, prompt_hash, prompt_tokens, completion_tokens, cost_micros, duration_ms,
      error_class, decision, erased_at, taken_at)
    values (
      ${organizationId}, ${turn.id}, ${turn.conversationId}, ${turn.agentId}, ${turn.messageIds}::uuid[], ${turn.basedOnVersion},
      ${turn.outcome}, ${turn.reason}, ${turn.language}, ${turn.intent}, ${turn.sentiment}, ${turn.facts}::jsonb, ${turn.confidence},
      ${turn.needsPerson}, ${turn.model}, ${turn.simulated}, ${turn.promptVersion}, ${turn.promptHash}, ${turn.promptTokens ?? 0},
      ${turn.completionTokens ?? 0}, ${turn.costMicros}, ${turn.durationMs}, ${turn.errorClass}, ${turn.decision}::jsonb, ${turn.erasedAt},
      ${turn.takenAt})`.execute(tx)
}

export async function findTurn(tx: Tx<DB>, organizationId: string, id: string): Promise<Turn | undefined> {
  return tx.selectFrom('turns').selectAll().where('organizationId', '=', organizationId).where('id', '=', id).executeTakeFirst()
}

export interface TurnFilter {
  conversationId: string | undefined
  outcome: Turn['outcome'] | undefined
  order: 'asc' | 'desc'
  limit: number
  offset: number
}

export async function listTurns(
  tx: Tx<DB>,
  organizationId: string,
  filter: TurnFilter,
): Promise<{ items: Turn[]; total: number }> {
  let matching = tx.selectFrom('turns').where('organizationId', '=', organizationId)
  if (filter.conversationId !== undefined) matching = matching.where('conversationId', '=', filter.conversationId)
  if (filter.outcome !== undefined) matching = matching.where('outcome', '=', filter.outcome)
  const total = await totalOf(tx, matching)
  const items = await matching
    .selectAll()
    .orderBy('takenAt', filter.order)
    .orderBy('id', filter.order)
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return { items, total }
}

/** Takes the words out of the turns of these conversations; the numbers stay for the books. */
export async function eraseTurnWords(tx: Tx<DB>, organizationId: string, conversationIds: string[], at: string): Promise<void> {
  await sql`
    update turns set facts = '[]', decision = '{"proposed": null, "rules": []}', erased_at = ${at}::timestamptz
    where organization_id = ${organizationId} and conversation_id = any(${conversationIds}::uuid[])`.execute(tx)
}

/** Takes the facts out of a turn, whose words were taken back. */
export async function forgetFacts(tx: Tx<DB>, organizationId: string, id: string): Promise<void> {
  await tx.updateTable('turns').set({ facts: '[]' }).where('organizationId', '=', organizationId).where('id', '=', id).execute()
}

export interface TurnSums {
  turns: number
  replied: number
  handedOver: number
  silent: number
  promptTokens: number
  completionTokens: number
}

export async function sumTurns(tx: Tx<DB>, organizationId: string, from: Date, until: Date): Promise<TurnSums> {
  const { rows } = await sql<Record<keyof TurnSums, string>>`
    select count(*) as turns,
      count(*) filter (where outcome = 'replied') as replied,
      count(*) filter (where outcome = 'handed_over') as handed_over,
      count(*) filter (where outcome = 'silent') as silent,
      coalesce(sum(prompt_tokens), 0) as prompt_tokens,
      coalesce(sum(completion_tokens), 0) as completion_tokens
    from turns where organization_id = ${organizationId} and taken_at >= ${from} and taken_at < ${until}`.execute(tx)
  const sumOf = (field: keyof TurnSums) => Number(rows[0]?.[field] ?? 0)
  return {
    turns: sumOf('turns'),
    replied: sumOf('replied'),
    handedOver: sumOf('handedOver'),
    silent: sumOf('silent'),
    promptTokens: sumOf('promptTokens'),
    completionTokens: sumOf('completionTokens'),
  }
}
