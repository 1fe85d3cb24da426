import type { CommitFn, CommitTools, Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

export interface Reservation {
  id: string
  turnId: string
  conversationId: string
  /** UTC, `YYYY-MM-DD`. */
  day: string
  amountMicros: number
  /** Of the day. */
  capMicros: number
  /** The organization's month, in its own zone; null as its cap: no limit. */
  month: { month: string; startsAt: Date; capMicros: number | null }
}

/** Reserved of a day and a month, after a reservation. */
interface Reserved {
  dayMicros: number
  monthMicros: number
}

/**
 * Commits `work` and, as the last statement of its transaction, sets aside the most that a turn can cost, if the work wants that.
 * `isReserved` is false when nothing is wanted, or when the day's or the month's cap would be exceeded. The check and the change are
 * one statement on two rows that it holds, so any number of workers keep both caps (reliability.md D37).
 *
 * All turns of an organization share those rows. So they are changed here only, never when a turn is settled; the statement leaves in one
 * flight with its commit, which does not wait for the disk: the rows are free again before its answer is on the way. After a crash
 * of Postgres at most the reservations of its last moments are missing, and what their work wrote: it must bear that. The turns
 * that they were for run again and reserve again.
 */
export async function commitReserving<T>(
  commit: CommitFn<DB>,
  organizationId: string,
  work: (tx: Tx<DB>, tools: CommitTools) => Promise<{ result: T; wanted: Reservation | null }>,
): Promise<{ result: T; isReserved: boolean }> {
  const { result, wanted, reserved } = await commitWithReservation(commit, organizationId, work)
  if (wanted === null) return { result, isReserved: false }
  if (reserved === undefined) {
    // The day or the month is new. Or settled reservations still count at their worst case until they are folded, by us or by another
    // turn that we waited for.
    await commit(async (tx) => {
      await openLedgers(tx, organizationId, wanted)
      await foldSettled(tx, organizationId)
    })
    const again = await commitWithReservation(commit, organizationId, async () => ({ result: null, wanted }))
    return { result, isReserved: again.reserved !== undefined }
  }
  const monthCapMicros = wanted.month.capMicros ?? Number.POSITIVE_INFINITY
  if (reserved.dayMicros > wanted.capMicros / 4 || reserved.monthMicros > monthCapMicros / 4) {
    await commit((tx) => foldSettled(tx, organizationId))
  }
  return { result, isReserved: true }
}

async function commitWithReservation<T>(
  commit: CommitFn<DB>,
  organizationId: string,
  work: (tx: Tx<DB>, tools: CommitTools) => Promise<{ result: T; wanted: Reservation | null }>,
): Promise<{ result: T; wanted: Reservation | null; reserved: Reserved | undefined }> {
  let answer: Promise<Reserved | undefined> | undefined
  const committed = commit(async (tx, tools) => {
    const done = await work(tx, tools)
    if (done.wanted === null) return done
    // Not awaited here: once it is written (when the promises of this turn have run), the commit follows it at once. Were it not
    // written by then, it would come after the transaction, without an organization, and be refused.
    answer = tryReserve(tx, organizationId, done.wanted)
    answer.catch(() => undefined)
    await new Promise<void>((resolve) => process.nextTick(resolve))
    return done
  })
  try {
    return { ...(await committed), reserved: await answer }
  } catch (error) {
    // When both fail, the statement's own error is the reason.
    await answer
    throw error
  }
}

/**
 * What is reserved after the reservation; undefined: it does not fit, or a ledger is not open. Rows are locked before they are judged,
 * and judged as they are then; the month always before the day, here and where settled sums are folded, so that nobody waits in a ring.
 */
async function tryReserve(tx: Tx<DB>, organizationId: string, wanted: Reservation): Promise<Reserved | undefined> {
  const { month, capMicros: monthCapMicros } = wanted.month
  const { rows } = await sql<Record<keyof Reserved, string>>`
    with month as materialized (
      select reserved_micros + settled_micros as used from spend_months
      where organization_id = ${organizationId}::uuid and month = ${month}::date
      for update
    ), day as materialized (
      select reserved_micros + settled_micros as used from spend_ledger
      where organization_id = ${organizationId}::uuid and day = ${wanted.day}::date and exists (select 1 from month)
      for update
    ), fits as materialized (
      select ${wanted.amountMicros}::bigint as amount from month, day
      where day.used + ${wanted.amountMicros}::bigint <= ${wanted.capMicros}::bigint
        and (${monthCapMicros}::bigint is null or month.used + ${wanted.amountMicros}::bigint <= ${monthCapMicros}::bigint)
    ), month_after as (
      update spend_months m set reserved_micros = m.reserved_micros + fits.amount from fits
      where m.organization_id = ${organizationId}::uuid and m.month = ${month}::date
      returning m.reserved_micros
    ), day_after as (
      update spend_ledger l set reserved_micros = l.reserved_micros + fits.amount, cap_micros = ${wanted.capMicros}::bigint from fits
      where l.organization_id = ${organizationId}::uuid and l.day = ${wanted.day}::date
      returning l.reserved_micros
    ), reservation as (
      insert into spend_reservations (organization_id, id, turn_id, conversation_id, day, month, reserved_micros)
      select ${organizationId}::uuid, ${wanted.id}::uuid, ${wanted.turnId}::uuid, ${wanted.conversationId}::uuid, ${wanted.day}::date,
        ${month}::date, amount
      from fits
    )
    select day_after.reserved_micros as day_micros, month_after.reserved_micros as month_micros,
      set_config('synchronous_commit', 'off', true)
    from day_after, month_after`.execute(tx)
  return rows[0] && { dayMicros: Number(rows[0].dayMicros), monthMicros: Number(rows[0].monthMicros) }
}

/**
 * The rows of a day and a month, if they are not there. A month that begins to be kept while it runs (after an update of this service, or
 * of the organization's zone) begins with what its turns have cost, and with what turns under way have set aside, in full.
 */
async function openLedgers(tx: Tx<DB>, organizationId: string, { day, capMicros, month }: Reservation): Promise<void> {
  await sql`
    insert into spend_months (organization_id, month, settled_micros)
    select ${organizationId}, ${month.month}::date,
      (select coalesce(sum(cost_micros), 0) from turns where organization_id = ${organizationId} and taken_at >= ${month.startsAt})
      + (select coalesce(sum(reserved_micros), 0) from spend_reservations
         where organization_id = ${organizationId} and settled_micros is null and created_at >= ${month.startsAt})
    where not exists (select 1 from spend_months where organization_id = ${organizationId} and month = ${month.month}::date)
    on conflict do nothing`.execute(tx)
  await sql`
    insert into spend_ledger (organization_id, day, cap_micros) values (${organizationId}, ${day}::date, ${capMicros})
    on conflict do nothing`.execute(tx)
}

/** Moves what is settled from the reservations into the ledgers, each once: the row that says so is deleted by the same statement. */
async function foldSettled(tx: Tx<DB>, organizationId: string): Promise<void> {
  await sql`
    with due as (
      select id from spend_reservations
      where organization_id = ${organizationId} and settled_micros is not null
      order by id limit 10000
      for update
    ), folded as (
      delete from spend_reservations r using due
      where r.organization_id = ${organizationId} and r.id = due.id
      returning r.day, r.month, r.reserved_micros, r.settled_micros
    ), months as (
      select month, sum(reserved_micros) as reserved, sum(settled_micros) as settled from folded group by month
    ), days as (
      select day, sum(reserved_micros) as reserved, sum(settled_micros) as settled from folded group by day
    ), moved_months as (
      update spend_months m
      set reserved_micros = m.reserved_micros - months.reserved, settled_micros = m.settled_micros + months.settled
      from months where m.organization_id = ${organizationId} and m.month = months.month
      returning 1
    )
    update spend_ledger l
    set reserved_micros = l.reserved_micros - days.reserved, settled_micros = l.settled_micros + days.settled
    from days, (select count(*) from moved_months) as months_first
    where l.organization_id = ${organizationId} and l.day = days.day`.execute(tx)
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

export interface Spend {
  reservedMicros: number
  settledMicros: number
}

/** What a day has cost and what turns under way may still cost, exact: settled reservations count at their settled price. */
export async function findDayOfSpend(tx: Tx<DB>, organizationId: string, day: string): Promise<Spend> {
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

/** As `findDayOfSpend`, of a month. */
export async function findMonthOfSpend(tx: Tx<DB>, organizationId: string, month: string): Promise<Spend> {
  const { rows } = await sql<{ reservedMicros: string; settledMicros: string }>`
    select m.reserved_micros - coalesce(r.reserved, 0) as reserved_micros, m.settled_micros + coalesce(r.settled, 0) as settled_micros
    from spend_months m
    left join lateral (
      select sum(reserved_micros) as reserved, sum(settled_micros) as settled from spend_reservations
      where organization_id = m.organization_id and month = m.month and settled_micros is not null
    ) r on true
    where m.organization_id = ${organizationId} and m.month = ${month}::date`.execute(tx)
  return { reservedMicros: Number(rows[0]?.reservedMicros ?? 0), settledMicros: Number(rows[0]?.settledMicros ?? 0) }
}
