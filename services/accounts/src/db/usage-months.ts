import type { Limits, Month } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { OverageLine } from '../rules/overage.ts'
import type { Used } from '../rules/usage.ts'
import type { DB } from './types.ts'
import { type MonthTotals, totalsOf } from './usage.ts'

export interface OpenMonth {
  startsAt: Date
  endsAt: Date
  warned: string[]
  reported: Partial<Used>
  closedAt: Date | null
}

/** Holds a month; `opened` says whether this is the first look at it. */
export async function holdMonth(
  tx: Tx<DB>,
  organizationId: string,
  month: { month: Month; timezone: string; startsAt: Date; endsAt: Date },
): Promise<OpenMonth & { opened: boolean }> {
  const inserted = await sql`
    insert into usage_months (organization_id, month, timezone, starts_at, ends_at)
    values (${organizationId}, ${month.month}::date, ${month.timezone}, ${month.startsAt}, ${month.endsAt})
    on conflict do nothing returning 1`.execute(tx)
  const { rows } = await sql<OpenMonth>`
    select starts_at, ends_at, warned, reported, closed_at from usage_months
    where organization_id = ${organizationId} and month = ${month.month}::date for update`.execute(tx)
  return { ...(rows[0] as OpenMonth), opened: inserted.rows.length > 0 }
}

export async function saveMonth(
  tx: Tx<DB>,
  organizationId: string,
  month: Month,
  told: { warned: readonly string[]; reported: Used },
): Promise<void> {
  await sql`
    update usage_months set warned = ${[...told.warned]}::text[], reported = ${JSON.stringify(told.reported)}::jsonb
    where organization_id = ${organizationId} and month = ${month}::date`.execute(tx)
}

/** What a month came to; it never changes again. */
export async function closeMonthWith(
  tx: Tx<DB>,
  organizationId: string,
  month: Month,
  end: { at: Date; totals: MonthTotals; limits: Limits; overage: OverageLine[]; transactionId: string | null },
): Promise<void> {
  await sql`
    update usage_months set closed_at = ${end.at}, totals = ${JSON.stringify(end.totals)}::jsonb, limits = ${JSON.stringify(end.limits)}::jsonb,
      overage = ${JSON.stringify(end.overage)}::jsonb, overage_transaction_id = ${end.transactionId}
    where organization_id = ${organizationId} and month = ${month}::date`.execute(tx)
}

export interface ListedMonth {
  month: Month
  totals: MonthTotals
  /** Null until it is closed. */
  limits: Limits | null
  overage: OverageLine[] | null
  overageTransactionId: string | null
  closedAt: Date | null
}

type MonthRow = Omit<ListedMonth, 'totals'> & Record<keyof MonthTotals, string> & { frozen: MonthTotals | null }

/** Months in which something was used, latest first, and how many there are. */
export async function listMonths(
  tx: Tx<DB>,
  organizationId: string,
  page: { limit: number; offset: number },
): Promise<{ items: ListedMonth[]; total: number }> {
  const { rows } = await sql<MonthRow>`
    select to_char(s.month, 'YYYY-MM-DD') as month, sum(s.messages) as messages, sum(s.conversations) as conversations,
      case when m.closed_at is null then (select count(distinct c.customer_id) from usage_customers c
        where c.organization_id = ${organizationId} and c.month = s.month) else 0 end as customers,
      sum(s.ai_requests) as ai_requests, sum(s.prompt_tokens) as prompt_tokens, sum(s.completion_tokens) as completion_tokens,
      sum(s.ai_spend_micros) as ai_spend_micros, m.totals as frozen, m.limits, m.overage, m.overage_transaction_id, m.closed_at
    from usage_slots s
    left join usage_months m on m.organization_id = s.organization_id and m.month = s.month
    where s.organization_id = ${organizationId}
    group by s.month, m.totals, m.limits, m.overage, m.overage_transaction_id, m.closed_at
    order by s.month desc limit ${page.limit} offset ${page.offset}`.execute(tx)
  const counted = await sql<{ total: number }>`
    select count(distinct month)::int as total from usage_slots where organization_id = ${organizationId}`.execute(tx)
  const items = rows.map(({ frozen, month, limits, overage, overageTransactionId, closedAt, ...sums }) => ({
    month,
    totals: frozen ?? totalsOf(sums),
    limits,
    overage,
    overageTransactionId,
    closedAt,
  }))
  return { items, total: counted.rows[0]?.total ?? 0 }
}
