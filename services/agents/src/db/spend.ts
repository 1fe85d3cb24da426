import type { CommitFn, Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

export interface Reservation {
  id: string
  turnId: string
  conversationId: string
  /** UTC, `YYYY-MM-DD`. */
  day: string
  amountMicros: number
  capMicros: number
}

/**
 * Sets aside the most that a turn can cost, or answers false: then the day's cap would be exceeded. The check and the change are
 * one statement on one row, so any number of workers keep the cap (reliability.md D37).
 *
 * All turns of an organization share that row. So it is changed here only, never when a turn is settled; the statement leaves in one
 * flight with its commit, which does not wait for the disk: the row is free again before its answer is on the way. After a crash
 * of Postgres at most the reservations of its last moments are missing; the turns that they were for run again and reserve again.
 */
export async function reserveSpend(commit: CommitFn<DB>, organizationId: string, wanted: Reservation): Promise<boolean> {
  const reservedMicros = await reserveAlone(commit, organizationId, wanted)
  if (reservedMicros === undefined) {
    // Settled reservations still count at their worst case until they are folded, by us or by another turn that we waited for.
    await commit((tx) => foldSettled(tx, organizationId))
    return (await reserveAlone(commit, organizationId, wanted)) !== undefined
  }
  const isFirstOfDay = reservedMicros === wanted.amountMicros
  if (isFirstOfDay || reservedMicros > wanted.capMicros / 4) await commit((tx) => foldSettled(tx, organizationId))
  return true
}

async function reserveAlone(commit: CommitFn<DB>, organizationId: string, wanted: Reservation): Promise<number | undefined> {
  let answer: Promise<number | undefined> | undefined
  const committed = commit(async (tx) => {
    // Not awaited here: once it is written (when the promises of this turn have run), the commit follows it at once. Were it not
    // written by then, it would come after the transaction, without an organization, and be refused.
    answer = tryReserve(tx, organizationId, wanted)
    answer.catch(() => undefined)
    await new Promise<void>((resolve) => process.nextTick(resolve))
  })
  // When both fail, the statement's own error is the reason.
  await committed.catch(async (error: unknown) => {
    await answer
    throw error
  })
  return answer
}

/** The day's reserved sum after the reservation; undefined: it does not fit. */
async function tryReserve(tx: Tx<DB>, organizationId: string, wanted: Reservation): Promise<number | undefined> {
  const { rows } = await sql<{ reservedMicros: string }>`
    with ledger as (
      insert into spend_ledger as l (organization_id, day, reserved_micros, cap_micros)
      select ${organizationId}::uuid, ${wanted.day}::date, ${wanted.amountMicros}::bigint, ${wanted.capMicros}::bigint
      where ${wanted.amountMicros}::bigint <= ${wanted.capMicros}::bigint
      on conflict (organization_id, day) do update
        set reserved_micros = l.reserved_micros + excluded.reserved_micros, cap_micros = excluded.cap_micros
        where l.reserved_micros + l.settled_micros + excluded.reserved_micros <= excluded.cap_micros
      returning l.reserved_micros
    ), reservation as (
      insert into spend_reservations (organization_id, id, turn_id, conversation_id, day, reserved_micros)
      select ${organizationId}::uuid, ${wanted.id}::uuid, ${wanted.turnId}::uuid, ${wanted.conversationId}::uuid, ${wanted.day}::date,
        ${wanted.amountMicros}::bigint
      from ledger
    )
    select reserved_micros, set_config('synchronous_commit', 'off', true) from ledger`.execute(tx)
  return rows[0] && Number(rows[0].reservedMicros)
}

/** Moves what is settled from the reservations into the ledger, each once: the row that says so is deleted by the same statement. */
async function foldSettled(tx: Tx<DB>, organizationId: string): Promise<number> {
  const { rows } = await sql<{ folded: number }>`
    with due as (
      select id from spend_reservations
      where organization_id = ${organizationId} and settled_micros is not null
      order by id limit 10000
      for update
    ), folded as (
      delete from spend_reservations r using due
      where r.organization_id = ${organizationId} and r.id = due.id
      returning r.day, r.reserved_micros, r.settled_micros
    ), sums as (
      select day, count(*) as folded, sum(reserved_micros) as reserved, sum(settled_micros) as settled from folded group by day
    ), moved as (
      update spend_ledger l
      set reserved_micros = l.reserved_micros - sums.reserved, settled_micros = l.settled_micros + sums.settled
      from sums where l.organization_id = ${organizationId} and l.day = sums.day
    )
    select coalesce(sum(folded), 0)::int as folded from sums`.execute(tx)
  return rows[0]?.folded ?? 0
}

/** Records what a reservation really cost; null: nobody knows, so all of it. Only the first word counts. */
export async function settleSpend(
  tx: Tx<DB>,
  organizationId: string,
  reservationId: string,
  costMicros: number | null,
): Promise<void> {
  await sql`
    update spend_reservations set settled_micros = coalesce(${costMicros}::bigint, reserved_micros)
    where organization_id = ${organizationId} and id = ${reservationId} and settled_micros is null`.execute(tx)
}

export interface DayOfSpend {
  reservedMicros: number
  settledMicros: number
}

/** What a day has cost and what turns under way may still cost, exact: settled reservations count at their settled price. */
export async function findDayOfSpend(tx: Tx<DB>, organizationId: string, day: string): Promise<DayOfSpend> {
  const { rows } = await sql<{ reservedMicros: string; settledMicros: string }>`
    select l.reserved_micros - coalesce(r.reserved, 0) as reserved_micros, l.settled_micros + coalesce(r.settled, 0) as settled_micros
    from spend_ledger l
    left join lateral (
      select sum(reserved_micros) as reserved, sum(settled_micros) as settled from spend_reservations
      where organization_id = l.organization_id and day = l.day and settled_micros is not null
    ) r on true
    where l.organization_id = ${organizationId} and l.day = ${day}::date`.execute(tx)
  return { reservedMicros: Number(rows[0]?.reservedMicros ?? 0), settledMicros: Number(rows[0]?.settledMicros ?? 0) }
}
