import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { duplicateNote } from '../rules/verdict.ts'
import type { DB } from './types.ts'

/** An item of a receipt that had come before. */
export interface DuplicateItem {
  receiptId: string
  sourceId: string
  key: string
  chatKey: string | null
  hasEvent: boolean
  receiptHolds: { items: number; events: number }
}

/**
 * Records which items of which receipts had come before, and where. A receipt of nothing else becomes `ignored` and lets go of its
 * body, which the first one has: erasing a customer then has one place to look. Gives the ids of such receipts.
 *
 * A statement of its own, because the first delivery may have been committed while ours waited for it: only a new snapshot sees it.
 */
export async function noteDuplicates(tx: Tx<DB>, organizationId: string, items: readonly DuplicateItem[]): Promise<Set<string>> {
  const firsts = await linkToFirst(tx, organizationId, items)
  const changes = [...Map.groupBy(items, (item) => item.receiptId)].map(([id, repeated]) => {
    const { receiptHolds } = repeated[0] as DuplicateItem
    const complete = repeated.length === receiptHolds.items
    return {
      id,
      complete,
      duplicates: repeated.length,
      events: receiptHolds.events - repeated.filter((item) => item.hasEvent).length,
      note: complete ? duplicateNote(firsts.get(id) ?? []) : null,
    }
  })
  await sql`
    update receipts r set duplicate_count = c.duplicates, event_count = c.events, note = coalesce(c.note, r.note),
      state = case when c.complete then 'ignored' else r.state end, body = case when c.complete then null else r.body end
    from unnest(${changes.map((c) => c.id)}::uuid[], ${changes.map((c) => c.complete)}::boolean[], ${changes.map((c) => c.duplicates)}::int[],
      ${changes.map((c) => c.events)}::int[], ${changes.map((c) => c.note)}::text[]) as c (id, complete, duplicates, events, note)
    where r.organization_id = ${organizationId} and r.id = c.id
  `.execute(tx)
  return new Set(changes.filter((change) => change.complete).map((change) => change.id))
}

/** The receipts that came first, by the receipt that repeats them. */
async function linkToFirst(tx: Tx<DB>, organizationId: string, items: readonly DuplicateItem[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ receiptId: string; firstReceiptId: string }>`
    insert into duplicate_items (organization_id, receipt_id, source_id, item_key, first_receipt_id, chat_key)
    select ${organizationId}::uuid, s.receipt_id, s.source_id, s.item_key, i.receipt_id, s.chat_key
    from unnest(${items.map((i) => i.receiptId)}::uuid[], ${items.map((i) => i.sourceId)}::uuid[], ${items.map((i) => i.key)}::text[],
      ${items.map((i) => i.chatKey)}::text[]) as s (receipt_id, source_id, item_key, chat_key)
    join receipt_items i on i.organization_id = ${organizationId} and i.source_id = s.source_id and i.item_key = s.item_key
    returning receipt_id, first_receipt_id
  `.execute(tx)
  const firsts = new Map<string, string[]>()
  for (const row of rows) firsts.set(row.receiptId, [...(firsts.get(row.receiptId) ?? []), row.firstReceiptId])
  return firsts
}
