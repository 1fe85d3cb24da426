import type { Month, Plan } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { LimitOverrides } from '../rules/limits.ts'
import type { Watch } from '../rules/usage.ts'
import type { Allowance, DB } from './types.ts'

/** What metering must know of an organization. */
export interface UsageSettings {
  timezone: string
  plan: Plan | null
  overrides: LimitOverrides
  aiBudgetMicros: number | null
  watch: Watch | null
  closedThrough: Month | null
  allowance: Allowance | null
  allowanceRevision: number
}

/** Undefined for an organization that accounts does not know (an operator's key may name any): it is counted and never limited. */
export async function findSettings(tx: Tx<DB>, organizationId: string): Promise<UsageSettings | undefined> {
  return await readSettings(tx, organizationId, sql``)
}

/** As `findSettings`, and whoever else wants to look at the whole waits. */
export async function lockSettings(tx: Tx<DB>, organizationId: string): Promise<UsageSettings | undefined> {
  return await readSettings(tx, organizationId, sql`for update`)
}

async function readSettings(tx: Tx<DB>, organizationId: string, lock: ReturnType<typeof sql>) {
  const { rows } = await sql<Omit<UsageSettings, 'aiBudgetMicros'> & { aiBudgetMicros: string | null }>`
    select timezone, plan, overrides, ai_budget_micros, watch, to_char(closed_through, 'YYYY-MM-DD') as closed_through, allowance,
      allowance_revision
    from usage_settings where organization_id = ${organizationId} ${lock}`.execute(tx)
  const row = rows[0]
  return row && { ...row, aiBudgetMicros: row.aiBudgetMicros === null ? null : Number(row.aiBudgetMicros) }
}

/** Takes over zone and AI budget of an organization, unless a newer record of it was taken over already. */
export async function noteOrganization(
  tx: Tx<DB>,
  organizationId: string,
  record: { timezone: string; aiBudgetMicros: number | null; revision: number },
): Promise<void> {
  await sql`
    insert into usage_settings as s (organization_id, timezone, ai_budget_micros, organization_revision)
    values (${organizationId}, ${record.timezone}, ${record.aiBudgetMicros}, ${record.revision})
    on conflict (organization_id) do update set
      timezone = excluded.timezone, ai_budget_micros = excluded.ai_budget_micros, organization_revision = excluded.organization_revision
    where s.organization_revision < excluded.organization_revision`.execute(tx)
}

export async function setPlan(tx: Tx<DB>, organizationId: string, plan: Plan): Promise<void> {
  await sql`
    insert into usage_settings (organization_id, plan) values (${organizationId}, ${plan})
    on conflict (organization_id) do update set plan = excluded.plan`.execute(tx)
}

export async function setOverrides(tx: Tx<DB>, organizationId: string, overrides: LimitOverrides): Promise<void> {
  await sql`
    insert into usage_settings (organization_id, overrides) values (${organizationId}, ${JSON.stringify(overrides)}::jsonb)
    on conflict (organization_id) do update set overrides = excluded.overrides`.execute(tx)
}

export async function saveWatch(
  tx: Tx<DB>,
  organizationId: string,
  watch: Watch,
  told: { allowance: Allowance | null; revision: number },
): Promise<void> {
  await sql`
    update usage_settings set watch = ${JSON.stringify(watch)}::jsonb, allowance_revision = ${told.revision},
      allowance = ${told.allowance === null ? null : JSON.stringify(told.allowance)}::jsonb
    where organization_id = ${organizationId}`.execute(tx)
}

/** From here on nothing is counted in that month or an earlier one. */
export async function closeThrough(tx: Tx<DB>, organizationId: string, month: Month): Promise<void> {
  await sql`
    update usage_settings set closed_through = greatest(closed_through, ${month}::date) where organization_id = ${organizationId}`.execute(
    tx,
  )
}
