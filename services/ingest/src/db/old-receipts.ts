import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

/** Notes that an organization may have receipts. */
export async function noteOwner(tx: Tx<DB>, organizationId: string): Promise<void> {
  await tx
    .insertInto('receiptOwners')
    .values({ owner: organizationId })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The next organizations that may have receipts. */
export async function listOwners(tx: Tx<DB>, after: string | null, limit: number): Promise<string[]> {
  let owners = tx.selectFrom('receiptOwners').select('owner')
  if (after !== null) owners = owners.where('owner', '>', after)
  return (await owners.orderBy('owner').limit(limit).execute()).map(({ owner }) => owner)
}

/**
 * Deletes an organization's receipts with ids below `before`, at most `limit`, with the notes of what they repeated. Answers how many
 * went, and how many of them nobody could ever read.
 */
export async function deleteReceipts(
  tx: Tx<DB>,
  organizationId: string,
  before: string,
  limit: number,
): Promise<{ gone: number; dead: number }> {
  const { rows } = await sql<{ gone: number; dead: number }>`
    with old as materialized (
      select id from receipts where organization_id = ${organizationId} and id < ${before}::uuid order by id limit ${limit}
    ), repeats as (
      delete from duplicate_items d using old where d.organization_id = ${organizationId} and d.receipt_id = old.id
    ), states as (
      delete from told_states t using old where t.organization_id = ${organizationId} and t.receipt_id = old.id
    ), gone as (
      delete from receipts r using old where r.organization_id = ${organizationId} and r.id = old.id returning r.state
    )
    select count(*)::int as gone, (count(*) filter (where state = 'dead'))::int as dead from gone`.execute(tx)
  return rows[0] ?? { gone: 0, dead: 0 }
}

/** Where the look at items goes on. */
export interface ItemPlace {
  sourceId: string
  itemKey: string
}

/**
 * Deletes, among the next items of an organization, those whose receipt has an id below `before`, and answers where to go on; undefined at
 * the end. Items are walked in the order of their key: an index by receipt would cost every webhook, to spare this a walk a day.
 */
export async function deleteItems(
  tx: Tx<DB>,
  organizationId: string,
  before: string,
  after: ItemPlace | null,
  limit: number,
): Promise<ItemPlace | undefined> {
  const { rows } = await sql<ItemPlace & { count: number }>`
    with page as materialized (
      select source_id, item_key, receipt_id from receipt_items
      where organization_id = ${organizationId}
        and (${after === null} or (source_id, item_key) > (${after?.sourceId ?? null}::uuid, ${after?.itemKey ?? null}::text))
      order by source_id, item_key limit ${limit}
    ), gone as (
      delete from receipt_items i using page p
      where i.organization_id = ${organizationId} and i.source_id = p.source_id and i.item_key = p.item_key and p.receipt_id < ${before}::uuid
    )
    select source_id, item_key, (select count(*)::int from page) as count from page order by source_id desc, item_key desc limit 1`.execute(
    tx,
  )
  const last = rows[0]
  return last !== undefined && last.count === limit ? { sourceId: last.sourceId, itemKey: last.itemKey } : undefined
}
