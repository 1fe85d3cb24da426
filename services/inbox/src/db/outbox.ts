import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { Cursor } from '../stream/cursor.ts'
import type { DB } from './types.ts'

export interface StreamedEvent {
  cursor: Cursor
  /** As written, a CloudEvents envelope. */
  envelope: { id: string; type: string; time: string; data: unknown }
}

/** What the live stream tells; the rest of the outbox is between the services. Written out, as in the index of the stream. */
const types = sql.raw(`('message.added', 'message.updated', 'conversation.started', 'conversation.changed',
  'conversation.handed_over', 'consent.changed', 'customer.erased')`)

/**
 * Events after a place, oldest first. A transaction that is still open may yet write below the newest number: nothing is
 * read beyond the horizon under which all are finished, so no event is ever skipped (reliability.md §3).
 */
export async function readEventsAfter(
  tx: Tx<DB>,
  organizationId: string,
  after: Cursor,
  limit: number,
): Promise<StreamedEvent[]> {
  const { rows } = await sql<{ xid: string; seq: string; envelope: StreamedEvent['envelope'] }>`
    select outbox.xid::text as xid, outbox.seq::text as seq, outbox.envelope from outbox
    where outbox.organization_id = ${organizationId} and outbox.type in ${types}
      and (outbox.xid, outbox.seq) > (${after.xid.toString()}::xid8, ${after.seq.toString()}::bigint)
      and outbox.xid < pg_snapshot_xmin(pg_current_snapshot())
    order by outbox.xid, outbox.seq
    limit ${limit}`.execute(tx)
  return rows.map(({ xid, seq, envelope }) => ({ cursor: { xid: BigInt(xid), seq: BigInt(seq) }, envelope }))
}

/** Where the outbox ends now: everything before is finished, everything after is yet to be told. */
export async function endOfOutbox(tx: Tx<DB>): Promise<Cursor> {
  const { rows } = await sql<{ xid: string }>`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`.execute(tx)
  const [row] = rows
  if (!row) throw new Error('Postgres gave no snapshot.')
  // The transaction at the horizon is yet to finish, and its first row has a positive number: this stands just before it.
  return { xid: BigInt(row.xid), seq: 0n }
}
