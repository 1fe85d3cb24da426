import type { Month } from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
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

/** A use, where it is counted: the month it is charged to, and the lane of its event. */
export interface PlacedUse extends Use {
  month: Month
  slot: number
}

/** A lane's count of a month, after uses were added. */
export interface Counted {
  month: Month
  slot: number
  /** Events counted in this lane this month: before these uses, and with them. */
  eventsBefore: number
  events: number
  /** In all lanes, as far as this transaction sees them. */
  used: Used
}

type CountedRow = { month: Month; slot: number } & Record<
  'eventsBefore' | 'events' | 'messages' | 'aiRequests' | 'customers' | 'aiSpendMicros',
  string
>

/**
 * Counts uses in their months, each once: one whose event is counted already changes nothing. One statement for all of them, of which
 * the rows of their own lanes alone are changed; it answers for these.
 */
export async function countUses(tx: Tx<DB>, organizationId: string, uses: readonly PlacedUse[]): Promise<Counted[]> {
  const rowsIn = uses.map((use) => ({
    id: use.id,
    month: use.month,
    slot: use.slot,
    type: use.type,
    conversation_id: use.conversationId,
    turn_id: use.turnId ?? null,
    customer_id: use.customerId ?? null,
    model: use.model ?? null,
    simulated: use.simulated ?? null,
    prompt_tokens: use.promptTokens ?? 0,
    completion_tokens: use.completionTokens ?? 0,
    cost_micros: use.costMicros ?? 0,
    at: use.at,
  }))
  const { rows } = await sql<CountedRow>`
    with uses as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rowsIn)}::jsonb) as u (id uuid, month date, slot smallint, type text, conversation_id uuid,
        turn_id uuid, customer_id uuid, model text, simulated boolean, prompt_tokens integer, completion_tokens integer, cost_micros bigint,
        at timestamptz)
    ), logged as (
      insert into usage_logs (organization_id, id, usage_type, month, conversation_id, turn_id, ai_model, simulated, prompt_tokens,
        completion_tokens, total_cost_micros, occurred_at)
      select ${organizationId}::uuid, id, type, month, conversation_id, turn_id, model, simulated, prompt_tokens, completion_tokens, cost_micros, at
      from uses
      on conflict do nothing
      returning id
    ), fresh as materialized (
      select uses.* from uses where id in (select id from logged)
    ), seen as (
      insert into usage_customers (organization_id, month, customer_id, slot)
      select distinct ${organizationId}::uuid, month, customer_id, slot from fresh where customer_id is not null
      on conflict do nothing
      returning month, slot
    ), added as (
      select month, slot, count(*) as events, count(*) filter (where type = 'message') as messages,
        count(*) filter (where type = 'conversation') as conversations, count(*) filter (where type = 'ai_request') as ai_requests,
        sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens, sum(cost_micros) as cost_micros
      from fresh group by month, slot
    ), counted as (
      insert into usage_slots as s (organization_id, month, slot, events, messages, conversations, customers, ai_requests, prompt_tokens,
        completion_tokens, ai_spend_micros)
      select ${organizationId}::uuid, a.month, a.slot, a.events, a.messages, a.conversations,
        (select count(*) from seen where seen.month = a.month and seen.slot = a.slot), a.ai_requests, a.prompt_tokens, a.completion_tokens,
        a.cost_micros
      from added a order by a.month, a.slot
      on conflict (organization_id, month, slot) do update set
        events = s.events + excluded.events,
        messages = s.messages + excluded.messages,
        conversations = s.conversations + excluded.conversations,
        customers = s.customers + excluded.customers,
        ai_requests = s.ai_requests + excluded.ai_requests,
        prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = s.completion_tokens + excluded.completion_tokens,
        ai_spend_micros = s.ai_spend_micros + excluded.ai_spend_micros
      returning s.month, s.slot, s.events, s.messages, s.ai_requests, s.customers, s.ai_spend_micros
    )
    select to_char(c.month, 'YYYY-MM-DD') as month, c.slot, c.events, c.events - a.events as events_before,
      sum(c.messages) over of_month + coalesce(o.messages, 0) as messages,
      sum(c.ai_requests) over of_month + coalesce(o.ai_requests, 0) as ai_requests,
      sum(c.customers) over of_month + coalesce(o.customers, 0) as customers,
      sum(c.ai_spend_micros) over of_month + coalesce(o.ai_spend_micros, 0) as ai_spend_micros
    from counted c join added a using (month, slot), lateral (
      select sum(messages) as messages, sum(ai_requests) as ai_requests, sum(customers) as customers, sum(ai_spend_micros) as ai_spend_micros
      from usage_slots s where s.organization_id = ${organizationId} and s.month = c.month
        and not exists (select 1 from counted k where k.month = s.month and k.slot = s.slot)
    ) o
    window of_month as (partition by c.month)`.execute(tx)
  return rows.map((row) => ({
    month: row.month,
    slot: row.slot,
    eventsBefore: Number(row.eventsBefore),
    events: Number(row.events),
    used: usedOf(row),
  }))
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

/** Calls with API keys, and files taken out, that were counted in a month. */
export async function sumCalls(tx: Tx<DB>, organizationId: string, month: Month): Promise<{ apiCalls: number; exports: number }> {
  const { rows } = await sql<{ apiCalls: string; exports: string }>`
    select coalesce(sum(quantity) filter (where usage_type = 'api_call'), 0) as api_calls,
      coalesce(sum(quantity) filter (where usage_type = 'export'), 0) as exports
    from usage_logs
    where organization_id = ${organizationId} and month = ${month}::date and usage_type in ('api_call', 'export')`.execute(tx)
  return { apiCalls: Number(rows[0]?.apiCalls ?? 0), exports: Number(rows[0]?.exports ?? 0) }
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
  const total = await totalOf(tx, matching)
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
      'quantity',
      'keyId',
      eb.fn<string>('to_char', ['month', sql.lit('YYYY-MM-DD')]).as('month'),
    ])
    .orderBy('occurredAt', 'desc')
    .orderBy('id')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return { items, total }
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
