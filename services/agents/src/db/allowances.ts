import type { DataOf, allowanceChanged } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { Allowance } from '../rules/allowance.ts'
import type { DB } from './types.ts'

/** Undefined: accounts has said nothing about this organization, so nothing but the daily cap holds. */
export async function findAllowance(tx: Tx<DB>, organizationId: string): Promise<Allowance | undefined> {
  const { rows } = await sql<Omit<Allowance, 'aiSpendMicros'> & { aiSpendMicros: string | null }>`
    select to_char(month, 'YYYY-MM-DD') as month, timezone, ai_spend_micros, stopped, customers_stopped_at from allowances
    where organization_id = ${organizationId}`.execute(tx)
  const row = rows[0]
  return row && { ...row, aiSpendMicros: row.aiSpendMicros === null ? null : Number(row.aiSpendMicros) }
}

/** Keeps the newest word of accounts, whatever the order they come in, and since when customers are stopped in its month. */
export async function saveAllowance(
  tx: Tx<DB>,
  organizationId: string,
  told: DataOf<typeof allowanceChanged>,
  toldAt: string,
): Promise<void> {
  const stoppedAt = told.stopped.includes('customers') ? toldAt : null
  await sql`
    insert into allowances as a (organization_id, month, timezone, ai_spend_micros, stopped, customers_stopped_at, revision)
    values (${organizationId}, ${told.month}::date, ${told.timezone ?? 'UTC'}, ${told.limits.aiSpendMicros}, ${told.stopped}::text[],
      ${stoppedAt}::timestamptz, ${told.revision})
    on conflict (organization_id) do update set month = excluded.month, timezone = excluded.timezone,
      ai_spend_micros = excluded.ai_spend_micros, stopped = excluded.stopped, revision = excluded.revision,
      customers_stopped_at = case when excluded.customers_stopped_at is not null and a.month = excluded.month
        then coalesce(a.customers_stopped_at, excluded.customers_stopped_at) else excluded.customers_stopped_at end
    where a.revision < excluded.revision`.execute(tx)
}
