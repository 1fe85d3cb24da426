import type { Month } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { Used } from '../rules/usage.ts'
import type { DB, UsageType } from './types.ts'

/** One use of something, as an event told it. */
export interface Use {
  /** The event's. */
  id: string
  type: UsageType
  at: Date
  conversationId: string | null
  turnId?: string
  /** Who wrote, if it was a customer. */
  customerId?: string
  model?: string | null
  simulated?: boolean
  promptTokens?: number
  completionTokens?: number
  costMicros?: number
}

interface Counted {
  /** Counted in this lane this month. */
  events: number
  /** In all lanes, as far as this transaction sees them. */
  used: Used
}

type CountedRow = Record<'events' | 'messages' | 'aiRequests' | 'customers' | 'aiSpendMicros', string>

/**
 * Counts a use in its month, once: undefined when its event is counted already. One statement, of which a row of this lane alone is
 * changed.
 */
export async function countUse(
  tx: Tx<DB>,
  organizationId: string,
  use: Use,
  place: { month: Month; slot: number },
): Promise<Counted | undefined> {
  const { month, slot } = place
  const is = (type: UsageType) => Number(use.type === type)
  const { rows } = await sql<CountedRow>`
    with logged as (
      insert into usage_logs (organization_id, id, usage_type, month, conversation_id, turn_id, ai_model, simulated, prompt_tokens,
        completion_tokens, total_cost_micros, occurred_at)
      values (${organizationId}, ${use.id}, ${use.type}, ${month}::date, ${use.conversationId}, ${use.turnId ?? null}, ${use.model ?? null},
        ${use.simulated ?? null}, ${use.promptTokens ?? 0}, ${use.completionTokens ?? 0}, ${use.costMicros ?? 0}, ${use.at})
      on conflict do nothing
      returning organization_id, month, prompt_tokens, completion_tokens, total_cost_micros
    ), seen as (
      insert into usage_customers (organization_id, month, customer_id, slot)
      select organization_id, month, ${use.customerId ?? null}::uuid, ${slot}::smallint from logged where ${use.customerId ?? null}::uuid is not null
      on conflict do nothing
      returning 1
    ), counted as (
      insert into usage_slots as s (organization_id, month, slot, events, messages, conversations, customers, ai_requests, prompt_tokens,
        completion_tokens, ai_spend_micros)
      select organization_id, month, ${slot}::smallint, 1, ${is('message')}::bigint, ${is('conversation')}::bigint,
        (select count(*) from seen), ${is('ai_request')}::bigint, prompt_tokens, completion_tokens, total_cost_micros
      from logged
      on conflict (organization_id, month, slot) do update set
        events = s.events + 1,
        messages = s.messages + excluded.messages,
        conversations = s.conversations + excluded.conversations,
        customers = s.customers + excluded.customers,
        ai_requests = s.ai_requests + excluded.ai_requests,
        prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = s.completion_tokens + excluded.completion_tokens,
        ai_spend_micros = s.ai_spend_micros + excluded.ai_spend_micros
      returning s.events, s.messages, s.ai_requests, s.customers, s.ai_spend_micros
    )
    select c.events, c.messages + coalesce(o.messages, 0) as messages, c.ai_requests + coalesce(o.ai_requests, 0) as ai_requests,
      c.customers + coalesce(o.customers, 0) as customers, c.ai_spend_micros + coalesce(o.ai_spend_micros, 0) as ai_spend_micros
    from counted c, (
      select sum(messages) as messages, sum(ai_requests) as ai_requests, sum(customers) as customers, sum(ai_spend_micros) as ai_spend_micros
      from usage_slots where organization_id = ${organizationId} and month = ${month}::date and slot <> ${slot}
    ) o`.execute(tx)
  const row = rows[0]
  return row && { events: Number(row.events), used: usedOf(row) }
}

export interface MonthTotals {
  messages: number
  conversations: number
  customers: number
  aiRequests: number
  promptTokens: number
  completionTokens: number
  aiSpendMicros: number
}

/** Everything that was counted in a month, exactly. */
export async function sumMonth(tx: Tx<DB>, organizationId: string, month: Month): Promise<MonthTotals> {
  const { rows } = await sql<Record<keyof MonthTotals, string>>`
    select coalesce(sum(messages), 0) as messages, coalesce(sum(conversations), 0) as conversations,
      (select count(distinct customer_id) from usage_customers where organization_id = ${organizationId} and month = ${month}::date) as customers,
      coalesce(sum(ai_requests), 0) as ai_requests, coalesce(sum(prompt_tokens), 0) as prompt_tokens,
      coalesce(sum(completion_tokens), 0) as completion_tokens, coalesce(sum(ai_spend_micros), 0) as ai_spend_micros
    from usage_slots where organization_id = ${organizationId} and month = ${month}::date`.execute(tx)
  return totalsOf(rows[0] as Record<keyof MonthTotals, string>)
}

export function totalsOf(row: Record<keyof MonthTotals, string | number>): MonthTotals {
  return {
    messages: Number(row.messages),
    conversations: Number(row.conversations),
    customers: Number(row.customers),
    aiRequests: Number(row.aiRequests),
    promptTokens: Number(row.promptTokens),
    completionTokens: Number(row.completionTokens),
    aiSpendMicros: Number(row.aiSpendMicros),
  }
}

/** What is limited of it, by metric. */
export function usedOf(row: Record<'messages' | 'aiRequests' | 'customers' | 'aiSpendMicros', string | number>): Used {
  return {
    messages: Number(row.messages),
    ai_requests: Number(row.aiRequests),
    customers: Number(row.customers),
    ai_spend: Number(row.aiSpendMicros),
  }
}

export interface LogFilter {
  type: UsageType | undefined
  conversationId: string | undefined
  model: string | undefined
  since: Date | undefined
  until: Date | undefined
  limit: number
  offset: number
}

/** Uses, latest first, and how many there are. */
export async function listUses(tx: Tx<DB>, organizationId: string, filter: LogFilter) {
  let matching = tx.selectFrom('usageLogs').where('organizationId', '=', organizationId)
  if (filter.type !== undefined) matching = matching.where('usageType', '=', filter.type)
  if (filter.conversationId !== undefined) matching = matching.where('conversationId', '=', filter.conversationId)
  if (filter.model !== undefined) matching = matching.where('aiModel', '=', filter.model)
  if (filter.since !== undefined) matching = matching.where('occurredAt', '>=', filter.since)
  if (filter.until !== undefined) matching = matching.where('occurredAt', '<', filter.until)
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  const items = await matching
    .select((eb) => [
      'id',
      'usageType',
      'conversationId',
      'turnId',
      'aiModel',
      'simulated',
      'promptTokens',
      'completionTokens',
      'totalCostMicros',
      'occurredAt',
      eb.fn<string>('to_char', ['month', sql.lit('YYYY-MM-DD')]).as('month'),
    ])
    .orderBy('occurredAt', 'desc')
    .orderBy('id')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return { items, total: Number(total) }
}

/** Forgets who wrote in a billed month and uses from before `before`, at most `limit` of each; how many of both went. */
export async function forgetUses(tx: Tx<DB>, organizationId: string, month: Month, before: Date, limit: number): Promise<number> {
  const { rows } = await sql<{ gone: number }>`
    with customers as (
      delete from usage_customers where organization_id = ${organizationId} and ctid = any(array(
        select ctid from usage_customers where organization_id = ${organizationId} and month <= ${month}::date limit ${limit}))
      returning 1
    ), logs as (
      delete from usage_logs where organization_id = ${organizationId} and id = any(array(
        select id from usage_logs where organization_id = ${organizationId} and occurred_at < ${before} limit ${limit}))
      returning 1
    )
    select ((select count(*) from customers) + (select count(*) from logs))::int as gone`.execute(tx)
  return rows[0]?.gone ?? 0
}
