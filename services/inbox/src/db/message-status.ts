import { type Channel, type MessageStatus, unknownChat } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { type RawBuilder, sql } from 'kysely'
import { statusRank } from '../rules/status.ts'
import type { EarlyArrival, ProviderMessage } from './messages.ts'
import type { DB, StatusErrors } from './types.ts'

export interface StatusReport {
  status: MessageStatus
  errors: StatusErrors
  changedAt: Date
  /** Id of the row that remembers it. */
  historyId: string
  failure: { reason: string; detail: string | null; uncertain: boolean } | null
}

export interface StatusEffect {
  messageId: string
  conversationId: string
  status: MessageStatus
  /** False when the message had got further already: recorded, not applied (reliability.md D17). */
  applied: boolean
}

/** Records a provider's report and applies it when it leads further, in one statement. Undefined: no such message (yet). */
export async function applyStatusOfProvider(
  tx: Tx<DB>,
  organizationId: string,
  { channel, accountId, chatId, providerMessageId }: ProviderMessage,
  report: StatusReport,
): Promise<StatusEffect | undefined> {
  // Only what we sent has a status at the provider. Whom a report calls its recipient is not always the chat, so that decides only ties.
  const ours = sql`id = (
    select m.id from messages m join conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
    where m.organization_id = ${organizationId} and m.channel = ${channel} and m.account_id = ${accountId}
      and m.provider_message_id = ${providerMessageId} and m.sender <> 'user'
    order by (c.chat_id = ${chatId}) desc nulls last limit 1)`
  return await applyStatus(tx, organizationId, ours, report)
}

/** The same for a message that we know by our own id. */
export async function applyStatusOfMessage(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  report: StatusReport,
): Promise<StatusEffect | undefined> {
  return await applyStatus(tx, organizationId, sql`id = ${id}`, report)
}

async function applyStatus(
  tx: Tx<DB>,
  organizationId: string,
  which: RawBuilder<unknown>,
  report: StatusReport,
): Promise<StatusEffect | undefined> {
  const rank = statusRank(report.status, report.failure?.uncertain)
  const errors = JSON.stringify(report.errors)
  const { rows } = await sql<StatusEffect>`
    with target as (
      select organization_id, id, conversation_id, status, status_rank from messages
      where organization_id = ${organizationId} and ${which}
      for no key update
    ), moved as (
      update messages m set
        status = ${report.status}::text, status_rank = ${rank}::smallint, status_errors = ${errors}::jsonb,
        failure_reason = ${report.failure?.reason ?? null}::text, failure_detail = ${report.failure?.detail ?? null}::text
      from target t
      where m.organization_id = t.organization_id and m.id = t.id and t.status_rank < ${rank}::smallint
      returning m.id
    ), remembered as (
      insert into message_status_history (organization_id, id, message_id, status, applied, errors, changed_at)
      select organization_id, ${report.historyId}::uuid, id, ${report.status}::text, status_rank < ${rank}::smallint, ${errors}::jsonb,
        ${report.changedAt}::timestamptz
      from target
    )
    select t.id as message_id, t.conversation_id, m.id is not null as applied,
      case when m.id is null then t.status else ${report.status}::text end as status
    from target t left join moved m on m.id = t.id`.execute(tx)
  return rows[0]
}

export interface NamedMessage extends StatusEffect {
  channel: Channel
  accountId: string
  early: EarlyArrival[]
}

/**
 * Gives a message of ours the name that the provider gave it, marks it sent unless it got further, and brings along what
 * had come under that name too early. Undefined: no such message, or another message has the name.
 */
export async function nameMessage(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  named: { providerMessageId: string; sentAt: Date; historyId: string },
): Promise<NamedMessage | undefined> {
  const sent = statusRank('sent')
  const { rows } = await sql<Omit<NamedMessage, 'early'> & { early: EarlyArrival[] | null }>`
    with target as (
      select organization_id, id, conversation_id, channel, account_id, status, status_rank from messages m
      where organization_id = ${organizationId} and id = ${id} and not exists (
        select 1 from messages o where o.organization_id = m.organization_id and o.conversation_id = m.conversation_id
          and o.provider_message_id = ${named.providerMessageId}::text and o.id <> m.id)
      for no key update
    ), moved as (
      update messages m set
        provider_message_id = ${named.providerMessageId}::text,
        sent_at = ${named.sentAt}::timestamptz,
        status = case when t.status_rank < ${sent}::smallint then 'sent' else m.status end,
        failure_reason = case when t.status_rank < ${sent}::smallint then null else m.failure_reason end,
        failure_detail = case when t.status_rank < ${sent}::smallint then null else m.failure_detail end,
        status_errors = case when t.status_rank < ${sent}::smallint then '[]' else m.status_errors end,
        status_rank = greatest(m.status_rank, ${sent}::smallint)
      from target t where m.organization_id = ${organizationId} and m.id = ${id}
    ), remembered as (
      insert into message_status_history (organization_id, id, message_id, status, applied, changed_at)
      select organization_id, ${named.historyId}::uuid, id, 'sent', status_rank < ${sent}::smallint, ${named.sentAt}::timestamptz from target
    ), early as (
      delete from early_arrivals e using target t, conversations c
      where e.organization_id = ${organizationId} and e.channel = t.channel and e.account_id = t.account_id
        and e.provider_message_id = ${named.providerMessageId}::text
        and c.organization_id = ${organizationId} and c.id = t.conversation_id
        and (e.kind = 'status' or c.chat_id is null or e.chat_id in (c.chat_id, ${unknownChat}))
      returning e.id, e.kind, e.data, e.occurred_at
    )
    select t.id as message_id, t.conversation_id, t.channel, t.account_id, t.status_rank < ${sent}::smallint as applied,
      case when t.status_rank < ${sent}::smallint then 'sent' else t.status end as status,
      (select jsonb_agg(jsonb_build_object('kind', kind, 'data', data) order by occurred_at, id) from early) as early
    from target t`.execute(tx)
  const row = rows[0]
  return row && { ...row, early: row.early ?? [] }
}

/**
 * Takes a provider's name away from the message that was made of an echo nobody claimed in time, and withdraws that message:
 * its original has turned up, and the customer got one message, not two. Gives the withdrawn message.
 */
export async function withdrawAdopted(
  tx: Tx<DB>,
  organizationId: string,
  original: { id: string; providerMessageId: string },
): Promise<{ messageId: string; conversationId: string } | undefined> {
  const { rows } = await sql<{ messageId: string; conversationId: string }>`
    update messages o set
      provider_message_id = null, status = 'dropped', status_rank = ${statusRank('dropped')}::smallint, failure_reason = 'duplicate_of_sent'
    from messages m
    where m.organization_id = ${organizationId} and m.id = ${original.id}
      and o.organization_id = m.organization_id and o.conversation_id = m.conversation_id
      and o.provider_message_id = ${original.providerMessageId} and o.id <> m.id and o.sender <> 'user'
    returning o.id as message_id, o.conversation_id`.execute(tx)
  return rows[0]
}

/** Every report about a message, in the order in which we learned them. */
export async function listStatusHistory(tx: Tx<DB>, organizationId: string, messageId: string) {
  return await tx
    .selectFrom('messageStatusHistory')
    .select(['status', 'applied', 'errors', 'changedAt', 'recordedAt'])
    .where('organizationId', '=', organizationId)
    .where('messageId', '=', messageId)
    .orderBy('recordedAt')
    .orderBy('id')
    .limit(100)
    .execute()
}
