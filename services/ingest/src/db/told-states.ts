import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { ToldState } from '@parley/providers/webhook'
import { isNews, type LastTold } from '../rules/news.ts'
import type { DB } from './types.ts'

/** A state that came for the first time under its delivery's own key. */
export interface OfferedState {
  sourceId: string
  itemKey: string
  receiptId: string
  receivedAt: Date
  state: ToldState
}

/**
 * Decides, in the order in which they came, which of these states are news, and notes them as told. A state that is none becomes a
 * repetition of the receipt that told it. Answers the keys of those, by source. Locks the subjects, so that two deliveries at once are
 * judged one after the other.
 */
export async function settleStates(
  tx: Tx<DB>,
  organizationId: string,
  offered: readonly OfferedState[],
): Promise<Set<OfferedState>> {
  const last = await lockSubjects(tx, organizationId, offered)
  const told = new Map<string, OfferedState>()
  const repeated = new Map<OfferedState, string>()
  for (const one of offered) {
    const place = placeOf(one)
    const before = last.get(place) as LastTold
    if (!isNews(one.state, one.receivedAt, before)) {
      repeated.set(one, before.receiptId)
      continue
    }
    told.set(place, one)
    last.set(place, { value: one.state.value, receiptId: one.receiptId, toldAt: one.receivedAt })
  }
  if (told.size > 0) await noteTold(tx, organizationId, [...told.values()])
  if (repeated.size > 0) await noteRepeated(tx, organizationId, [...repeated])
  return new Set(repeated.keys())
}

const placeOf = (one: { sourceId: string; state: { subject: string } }) => `${one.sourceId} ${one.state.subject}`

async function lockSubjects(
  tx: Tx<DB>,
  organizationId: string,
  offered: readonly OfferedState[],
): Promise<Map<string, LastTold>> {
  const subjects = [...new Map(offered.map((one) => [placeOf(one), one])).values()]
  // In one order everywhere, so that two replicas never wait for each other in a circle.
  const { rows } = await sql<LastTold & { sourceId: string; subject: string }>`
    insert into told_states (organization_id, source_id, subject, value, receipt_id, told_at)
    select ${organizationId}::uuid, s.source_id, s.subject, '', s.receipt_id, s.told_at
    from unnest(${subjects.map((s) => s.sourceId)}::uuid[], ${subjects.map((s) => s.state.subject)}::text[],
      ${subjects.map((s) => s.receiptId)}::uuid[], ${subjects.map((s) => s.receivedAt.toISOString())}::timestamptz[])
      as s (source_id, subject, receipt_id, told_at)
    order by s.source_id, s.subject collate "C"
    on conflict (organization_id, source_id, subject) do update set value = told_states.value
    returning source_id, subject, value, receipt_id, told_at
  `.execute(tx)
  return new Map(rows.map((row) => [`${row.sourceId} ${row.subject}`, row]))
}

async function noteTold(tx: Tx<DB>, organizationId: string, told: readonly OfferedState[]): Promise<void> {
  await sql`
    update told_states t set value = s.value, receipt_id = s.receipt_id, told_at = s.told_at
    from unnest(${told.map((s) => s.sourceId)}::uuid[], ${told.map((s) => s.state.subject)}::text[], ${told.map((s) => s.state.value)}::text[],
      ${told.map((s) => s.receiptId)}::uuid[], ${told.map((s) => s.receivedAt.toISOString())}::timestamptz[])
      as s (source_id, subject, value, receipt_id, told_at)
    where t.organization_id = ${organizationId} and t.source_id = s.source_id and t.subject = s.subject
  `.execute(tx)
}

async function noteRepeated(tx: Tx<DB>, organizationId: string, repeated: readonly [OfferedState, string][]): Promise<void> {
  await sql`
    update receipt_items i set receipt_id = r.first
    from unnest(${repeated.map(([one]) => one.sourceId)}::uuid[], ${repeated.map(([one]) => one.itemKey)}::text[],
      ${repeated.map(([, first]) => first)}::uuid[]) as r (source_id, item_key, first)
    where i.organization_id = ${organizationId} and i.source_id = r.source_id and i.item_key = r.item_key
  `.execute(tx)
}

/** Whether a newer delivery has told of this subject since: what is read again later must not undo it. */
export async function isPast(tx: Tx<DB>, organizationId: string, one: OfferedState): Promise<boolean> {
  const newer = await tx
    .selectFrom('toldStates')
    .select('receiptId')
    .where('organizationId', '=', organizationId)
    .where('sourceId', '=', one.sourceId)
    .where('subject', '=', one.state.subject)
    .where('receiptId', '>', one.receiptId)
    .executeTakeFirst()
  return newer !== undefined
}
