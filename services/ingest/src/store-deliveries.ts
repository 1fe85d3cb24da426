import type { ProviderName } from '@parley/contracts'
import type { ToldState } from '@parley/providers/webhook'
import type { OutboxRow, Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { type DuplicateItem, noteDuplicates } from './db/duplicates.ts'
import { touchSources } from './db/sources.ts'
import { settleStates } from './db/told-states.ts'
import type { DB, ReceiptState } from './db/types.ts'

/** One fact of a delivery, under the provider's own id of it. */
export interface DeliveryItem {
  key: string
  chatKey: string | null
  /** Null: recognised, and of no use to us. */
  row: OutboxRow | null
  /** Told only when it is news (providers' ToldState); undefined for a fact. */
  state?: ToldState | undefined
}

/** A delivery that has been verified and judged, ready to be written. */
export interface Delivery {
  receiptId: string
  organizationId: string
  sourceId: string
  provider: ProviderName
  topic: string
  state: ReceiptState
  note: string | null
  error: string | null
  headers: Record<string, string>
  body: Buffer
  bodySha256: string
  /** Bytes of the body as it came in. */
  size: number
  receivedAt: Date
  providerTime: string | null
  /** No two with one key. */
  items: readonly DeliveryItem[]
  /** True when the source's row is to say that something came. */
  touch: boolean
}

export interface Stored {
  receiptId: string
  /** True when all that the delivery held had come before. */
  duplicate: boolean
}

interface Offered {
  delivery: Delivery
  item: DeliveryItem
}

/**
 * Writes deliveries of one organization in its open transaction: receipts, items, and events for the items that nobody delivered
 * before, in one statement. Of several deliveries of one fact, in this call or in any other at the same time, exactly one
 * wins: the primary key decides, not a look beforehand (reliability.md D8).
 */
export async function storeDeliveries(tx: Tx<DB>, organizationId: string, deliveries: readonly Delivery[]): Promise<Stored[]> {
  const { offered, repeated } = offer(deliveries)
  const stale = await insertAll(tx, organizationId, deliveries, offered)
  const past = await stateNews(tx, organizationId, offered, new Set(stale))
  const duplicates = [...stale, ...past, ...repeated].map(asDuplicate)
  const complete = duplicates.length === 0 ? new Set<string>() : await noteDuplicates(tx, organizationId, duplicates)
  const touched = new Set(deliveries.filter((delivery) => delivery.touch).map((delivery) => delivery.sourceId))
  if (touched.size > 0) await touchSources(tx, organizationId, [...touched])
  return deliveries.map(({ receiptId }) => ({ receiptId, duplicate: complete.has(receiptId) }))
}

/** Of one fact in several deliveries of this group, the first is offered; one statement could not tell the others apart. */
function offer(deliveries: readonly Delivery[]): { offered: Offered[]; repeated: Offered[] } {
  const seen = new Set<string>()
  const offered: Offered[] = []
  const repeated: Offered[] = []
  for (const delivery of deliveries) {
    for (const item of delivery.items) {
      const fact = `${delivery.sourceId} ${item.key}`
      if (seen.has(fact)) repeated.push({ delivery, item })
      else offered.push({ delivery, item })
      seen.add(fact)
    }
  }
  return { offered, repeated }
}

/** States those that are news, of states that came under a new key. Gives back the others: they say what was last told. */
async function stateNews(
  tx: Tx<DB>,
  organizationId: string,
  offered: readonly Offered[],
  stale: ReadonlySet<Offered>,
): Promise<Offered[]> {
  const fresh = offered.flatMap((one) => {
    const { delivery, item } = one
    if (item.state === undefined || stale.has(one)) return []
    const { sourceId, receiptId, receivedAt } = delivery
    return [{ one, row: item.row, sourceId, itemKey: item.key, receiptId, receivedAt, state: item.state }]
  })
  if (fresh.length === 0) return []
  const past = await settleStates(tx, organizationId, fresh)
  await insertEvents(
    tx,
    organizationId,
    fresh.flatMap((state) => (past.has(state) || state.row === null ? [] : [state.row])),
  )
  return fresh.filter((state) => past.has(state)).map(({ one }) => one)
}

/** Appends to the outbox, in order. */
async function insertEvents(tx: Tx<DB>, organizationId: string, rows: readonly OutboxRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into outbox (id, organization_id, lane, type, key, correlation_id, envelope)
    select e.id, ${organizationId}::uuid, e.lane, e.type, e.key, e.correlation_id, e.envelope
    from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.lane)}::smallint[], ${rows.map((row) => row.type)}::text[],
      ${rows.map((row) => row.key)}::text[], ${rows.map((row) => row.correlationId)}::text[], ${rows.map((row) => row.envelope)}::json[])
      with ordinality as e (id, lane, type, key, correlation_id, envelope, position)
    order by e.position
  `.execute(tx)
}

/** Gives back what had been delivered before. Events of states are not stated here. */
async function insertAll(
  tx: Tx<DB>,
  organizationId: string,
  deliveries: readonly Delivery[],
  offered: readonly Offered[],
): Promise<Offered[]> {
  const events = offered.flatMap(({ item }, position) =>
    item.row === null || item.state !== undefined ? [] : [{ position, row: item.row }],
  )
  const { bytes, starts } = joinBodies(deliveries)
  // Items go in sorted: two replicas with the same facts in another order would otherwise wait for each other in a circle.
  const { rows } = await sql<{ position: number }>`
    with receipt as (
      insert into receipts (organization_id, id, source_id, provider, topic, state, note, error, headers, body, body_sha256, size, event_count,
        correlation_id, received_at, provider_time)
      select ${organizationId}::uuid, d.id, d.source_id, d.provider, d.topic, d.state, d.note, d.error, d.headers::jsonb,
        substring(${bytes}::bytea from d.body_start for d.body_length), d.body_sha256, d.size, d.event_count, d.id::text, d.received_at, d.provider_time
      from unnest(${deliveries.map((d) => d.receiptId)}::uuid[], ${deliveries.map((d) => d.sourceId)}::uuid[],
        ${deliveries.map((d) => d.provider)}::text[], ${deliveries.map((d) => d.topic)}::text[], ${deliveries.map((d) => d.state)}::text[],
        ${deliveries.map((d) => d.note)}::text[], ${deliveries.map((d) => d.error)}::text[],
        ${deliveries.map((d) => JSON.stringify(d.headers))}::text[], ${starts}::int[], ${deliveries.map((d) => d.body.length)}::int[],
        ${deliveries.map((d) => d.bodySha256)}::text[], ${deliveries.map((d) => d.size)}::int[],
        ${deliveries.map((d) => eventCount(d.items))}::int[],
        ${deliveries.map((d) => d.receivedAt.toISOString())}::timestamptz[], ${deliveries.map((d) => d.providerTime)}::timestamptz[])
        as d (id, source_id, provider, topic, state, note, error, headers, body_start, body_length, body_sha256, size, event_count, received_at, provider_time)
    ), offered as (
      select * from unnest(${offered.map((_, position) => position)}::int[], ${offered.map((o) => o.delivery.receiptId)}::uuid[],
        ${offered.map((o) => o.delivery.sourceId)}::uuid[], ${offered.map((o) => o.item.key)}::text[], ${offered.map((o) => o.item.chatKey)}::text[],
        ${offered.map((o) => o.item.row?.type ?? null)}::text[]) as o (position, receipt_id, source_id, item_key, chat_key, event_type)
    ), fresh as (
      insert into receipt_items (organization_id, source_id, item_key, receipt_id, chat_key, event_type)
      select ${organizationId}::uuid, source_id, item_key, receipt_id, chat_key, event_type from offered order by source_id, item_key collate "C"
      on conflict (organization_id, source_id, item_key) do nothing
      returning source_id, item_key
    ), stated as (
      insert into outbox (id, organization_id, lane, type, key, correlation_id, envelope)
      select e.id, ${organizationId}::uuid, e.lane, e.type, e.key, e.correlation_id, e.envelope
      from unnest(${events.map((e) => e.position)}::int[], ${events.map((e) => e.row.id)}::uuid[], ${events.map((e) => e.row.lane)}::smallint[],
        ${events.map((e) => e.row.type)}::text[], ${events.map((e) => e.row.key)}::text[], ${events.map((e) => e.row.correlationId)}::text[],
        ${events.map((e) => e.row.envelope)}::json[]) as e (position, id, lane, type, key, correlation_id, envelope)
      join offered o on o.position = e.position
      join fresh f on f.source_id = o.source_id and f.item_key = o.item_key
      order by e.position
    )
    select o.position from offered o where not exists (select from fresh f where f.source_id = o.source_id and f.item_key = o.item_key)
  `.execute(tx)
  return rows.map((row) => offered[row.position] as Offered)
}

/** All bodies as one binary parameter, and where each begins, from 1: an array of them would travel as hex text, twice the bytes. */
function joinBodies(deliveries: readonly Delivery[]): { bytes: Buffer; starts: number[] } {
  let next = 1
  const starts = deliveries.map((delivery) => {
    const start = next
    next += delivery.body.length
    return start
  })
  return { bytes: Buffer.concat(deliveries.map((delivery) => delivery.body)), starts }
}

function asDuplicate({ delivery, item }: Offered): DuplicateItem {
  return {
    receiptId: delivery.receiptId,
    sourceId: delivery.sourceId,
    key: item.key,
    chatKey: item.chatKey,
    hasEvent: item.row !== null,
    receiptHolds: { items: delivery.items.length, events: eventCount(delivery.items) },
  }
}

function eventCount(items: readonly DeliveryItem[]): number {
  return items.filter((item) => item.row !== null).length
}
