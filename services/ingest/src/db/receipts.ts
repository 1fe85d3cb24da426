import type { ProviderName } from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
import { sql, type Selectable } from 'kysely'
import type { DeliveryItem } from '../store-deliveries.ts'
import type { DB, ReceiptState, Receipts } from './types.ts'

export type Receipt = Selectable<Receipts>

const listed = [
  'id',
  'sourceId',
  'provider',
  'topic',
  'state',
  'note',
  'bodySha256',
  'size',
  'eventCount',
  'duplicateCount',
  'correlationId',
  'receivedAt',
  'providerTime',
  'attempts',
  'error',
  'replayedAt',
] as const
export type ListedReceipt = Pick<Receipt, (typeof listed)[number]>

export async function listReceipts(
  tx: Tx<DB>,
  organizationId: string,
  filter: {
    provider?: ProviderName | undefined
    state?: ReceiptState | undefined
    since?: string | undefined
    limit: number
    offset: number
  },
): Promise<{ items: ListedReceipt[]; total: number }> {
  let matching = tx.selectFrom('receipts').where('organizationId', '=', organizationId)
  if (filter.provider !== undefined) matching = matching.where('provider', '=', filter.provider)
  if (filter.state !== undefined) matching = matching.where('state', '=', filter.state)
  if (filter.since !== undefined) matching = matching.where('receivedAt', '>=', new Date(filter.since))
  // Ids sort by time.
  const items = await matching.select(listed).orderBy('id', 'desc').limit(filter.limit).offset(filter.offset).execute()
  const total = await totalOf(tx, matching)
  return { items, total }
}

/** A receipt with at most so many bytes of its body. */
export async function findReceipt(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  mostBytes: number,
): Promise<(ListedReceipt & Pick<Receipt, 'headers' | 'body'>) | undefined> {
  return tx
    .selectFrom('receipts')
    .select([...listed, 'headers', sql<Buffer | null>`substring(body from 1 for ${mostBytes}::int)`.as('body')])
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
}

export type WholeReceipt = Receipt & { accountId: string | null }

/** A receipt with its whole body and its source's account. */
export async function findWholeReceipt(tx: Tx<DB>, organizationId: string, id: string): Promise<WholeReceipt | undefined> {
  return tx
    .selectFrom('receipts as r')
    .leftJoin('webhookSources as s', (join) =>
      join.onRef('s.organizationId', '=', 'r.organizationId').onRef('s.id', '=', 'r.sourceId'),
    )
    .selectAll('r')
    .select('s.accountId')
    .where('r.organizationId', '=', organizationId)
    .where('r.id', '=', id)
    .executeTakeFirst()
}

/** Locks a receipt until the commit. False when it has no body any more: it was erased meanwhile. */
export async function lockReceiptWithBody(tx: Tx<DB>, organizationId: string, id: string): Promise<boolean> {
  const row = await tx
    .selectFrom('receipts')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .where('body', 'is not', null)
    .forUpdate()
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Writes what a replayed receipt holds now and gives how many events that stated: those of items nobody delivered before, and of
 * items that this very receipt brought in when we could not read them.
 */
export async function storeReplay(
  tx: Tx<DB>,
  organizationId: string,
  receipt: { id: string; sourceId: string },
  items: readonly DeliveryItem[],
): Promise<number> {
  const events = items.flatMap((item) => (item.row === null ? [] : [{ key: item.key, row: item.row }]))
  const { rows } = await sql<{ count: number }>`
    with fresh as (
      insert into receipt_items (organization_id, source_id, item_key, receipt_id, chat_key, event_type)
      select ${organizationId}::uuid, ${receipt.sourceId}::uuid, i.item_key, ${receipt.id}::uuid, i.chat_key, i.event_type
      from unnest(${items.map((i) => i.key)}::text[], ${items.map((i) => i.chatKey)}::text[], ${items.map((i) => i.row?.type ?? null)}::text[])
        as i (item_key, chat_key, event_type)
      order by i.item_key collate "C"
      on conflict (organization_id, source_id, item_key) do update set event_type = excluded.event_type, chat_key = excluded.chat_key
        where receipt_items.receipt_id = excluded.receipt_id
          and coalesce(receipt_items.event_type, 'webhook.unrecognised') = 'webhook.unrecognised'
          and coalesce(excluded.event_type, 'webhook.unrecognised') <> 'webhook.unrecognised'
      returning item_key
    ), stated as (
      insert into outbox (id, organization_id, lane, type, key, correlation_id, envelope)
      select e.id, ${organizationId}::uuid, e.lane, e.type, e.key, e.correlation_id, e.envelope
      from unnest(${events.map((e) => e.key)}::text[], ${events.map((e) => e.row.id)}::uuid[], ${events.map((e) => e.row.lane)}::smallint[],
        ${events.map((e) => e.row.type)}::text[], ${events.map((e) => e.row.key)}::text[], ${events.map((e) => e.row.correlationId)}::text[],
        ${events.map((e) => e.row.envelope)}::json[]) with ordinality as e (item_key, id, lane, type, key, correlation_id, envelope, position)
      join fresh f on f.item_key = e.item_key
      order by e.position
      returning 1
    )
    select count(*)::int as count from stated
  `.execute(tx)
  return rows[0]?.count ?? 0
}

/** What a replay found out. */
export async function noteReplay(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  result: { state: ReceiptState; topic: string; note: string | null; error: string | null; newEvents: number },
): Promise<void> {
  await tx
    .updateTable('receipts')
    .set((eb) => ({
      state: result.state,
      topic: result.topic,
      note: result.note,
      error: result.error,
      eventCount: eb('eventCount', '+', result.newEvents),
      attempts: eb('attempts', '+', 1),
      replayedAt: sql<Date>`now()`,
    }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .execute()
}

/** Empties the receipts that hold an item of one of these chats, first or repeated. */
export async function eraseBodiesOfChats(tx: Tx<DB>, organizationId: string, chatKeys: readonly string[]): Promise<void> {
  const keys = [...chatKeys]
  await sql`
    with held as (
      update receipt_items set chat_key = null where organization_id = ${organizationId} and chat_key = any(${keys}::text[]) returning receipt_id
    ), repeated as (
      update duplicate_items set chat_key = null where organization_id = ${organizationId} and chat_key = any(${keys}::text[]) returning receipt_id
    )
    update receipts set body = null
    where organization_id = ${organizationId} and body is not null and id in (select receipt_id from held union select receipt_id from repeated)
  `.execute(tx)
}

/**
 * Empties, among the next receipts that no event came of, those whose body names one of these chats. Gives the id to go on from, or
 * undefined at the end.
 */
export async function eraseUnsortedBodies(
  tx: Tx<DB>,
  organizationId: string,
  chatIds: readonly string[],
  after: string | null,
  limit: number,
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string; count: number }>`
    with unsorted as (
      select id, body from receipts
      where organization_id = ${organizationId} and state in ('dead', 'ignored') and body is not null and (${after}::uuid is null or id > ${after}::uuid)
      order by id limit ${limit}
    ), emptied as (
      update receipts r set body = null from unsorted u
      where r.organization_id = ${organizationId} and r.id = u.id
        and exists (select from unnest(${[...chatIds]}::text[]) as chat (id) where position(convert_to(chat.id, 'UTF8') in u.body) > 0)
    )
    select id, (select count(*)::int from unsorted) as count from unsorted order by id desc limit 1
  `.execute(tx)
  const last = rows[0]
  return last !== undefined && last.count === limit ? last.id : undefined
}
