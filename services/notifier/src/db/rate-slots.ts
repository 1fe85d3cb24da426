import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { type Pace, type Reservation, reserveSlots } from '../rules/rate-slots.ts'
import type { DB } from './types.ts'

/** Books the next slots of a channel for all replicas. The database's clock decides, because replicas' clocks differ. */
export async function reserveChannelSlots(
  tx: Tx<DB>,
  organizationId: string,
  accountId: string,
  pace: Pace,
  count: number,
): Promise<Reservation> {
  // The conflict's update changes nothing: it locks the row and reads it in one round-trip.
  const { rows } = await sql<{ nextFreeMs: number; nowMs: number }>`
    insert into rate_slots (organization_id, account_id, next_free_at) values (${organizationId}, ${accountId}, clock_timestamp())
    on conflict (organization_id, account_id) do update set next_free_at = rate_slots.next_free_at
    returning (extract(epoch from next_free_at) * 1000)::float8 as "nextFreeMs", (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs"
  `.execute(tx)
  const row = rows[0]
  if (row === undefined) throw new Error('An upsert that returns its row returned none.')
  const reservation = reserveSlots(pace, row.nextFreeMs, row.nowMs, count)
  if ('nextFreeMs' in reservation) {
    await sql`
      update rate_slots set next_free_at = to_timestamp(${reservation.nextFreeMs / 1000}::float8)
      where organization_id = ${organizationId} and account_id = ${accountId}
    `.execute(tx)
  }
  return reservation
}
