import { unknownChat } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { ProviderMessage } from './messages.ts'
import type { DB, EarlyArrivals } from './types.ts'

/**
 * Waits until nobody else is about to give this name to a message, or to ask whether it was given. The provider's report
 * and our own record of the sending come in different lanes: without this, each may miss the other by a millisecond.
 */
export async function lockProviderMessageName(tx: Tx<DB>, organizationId: string, providerMessageId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`${organizationId}/${providerMessageId}`}, 0))`.execute(tx)
}

/** Keeps what came before its message; false when the message is known by now. Call with the name locked. */
export async function keepEarlyArrival(
  tx: Tx<DB>,
  organizationId: string,
  arrival: ProviderMessage & { kind: EarlyArrivals['kind']; data: unknown; occurredAt: Date; arrivedAt: Date },
): Promise<boolean> {
  const { kind, channel, accountId, chatId, providerMessageId } = arrival
  const { rows } = await sql`
    insert into early_arrivals (organization_id, id, kind, channel, account_id, chat_id, provider_message_id, data, occurred_at, arrived_at)
    select ${organizationId}::uuid, ${randomUUIDv7()}::uuid, ${kind}::text, ${channel}::text, ${accountId}::text, ${chatId}::text,
      ${providerMessageId}::text, ${JSON.stringify(arrival.data)}::jsonb, ${arrival.occurredAt}::timestamptz, ${arrival.arrivedAt}::timestamptz
    where not exists (
      select 1 from messages m join conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
      where m.organization_id = ${organizationId} and m.channel = ${channel} and m.account_id = ${accountId}
        and m.provider_message_id = ${providerMessageId} and (c.chat_id = ${chatId} or c.chat_id is null or ${chatId} = ${unknownChat}))
    returning id`.execute(tx)
  return rows.length > 0
}

export interface DueArrival {
  kind: EarlyArrivals['kind']
  data: unknown
}

/** Takes arrivals whose message is known after all (they crossed), and echoes that nobody claimed since `echoesBefore`. */
export async function takeDueArrivals(
  tx: Tx<DB>,
  organizationId: string,
  due: { echoesBefore: Date; limit: number },
): Promise<DueArrival[]> {
  const { rows } = await sql<DueArrival>`
    with due as (
      select e.organization_id, e.id from early_arrivals e
      where e.organization_id = ${organizationId} and ((e.kind = 'echo' and e.arrived_at < ${due.echoesBefore}) or exists (
        select 1 from messages m join conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
        where m.organization_id = e.organization_id and m.channel = e.channel and m.account_id = e.account_id
          and m.provider_message_id = e.provider_message_id and (c.chat_id = e.chat_id or c.chat_id is null or e.chat_id = ${unknownChat})))
      -- Echoes first: they bring the messages that the others speak of.
      order by (e.kind = 'echo') desc, e.occurred_at, e.id
      limit ${due.limit}
    ), taken as (
      delete from early_arrivals e using due where e.organization_id = due.organization_id and e.id = due.id
      returning e.id, e.kind, e.data, e.occurred_at
    )
    select kind, data from taken order by (kind = 'echo') desc, occurred_at, id`.execute(tx)
  return rows
}

/** Forgets what waited too long: reports about messages from before the channel was connected, which nobody will bring. */
export async function forgetEarlyArrivals(tx: Tx<DB>, organizationId: string, before: Date): Promise<void> {
  await tx.deleteFrom('earlyArrivals').where('organizationId', '=', organizationId).where('arrivedAt', '<', before).execute()
}

export async function hasEarlyArrivals(tx: Tx<DB>, organizationId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('earlyArrivals')
    .select('id')
    .where('organizationId', '=', organizationId)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}
