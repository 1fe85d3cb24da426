import type { Channel } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { Chat } from './conversations.ts'
import type { DB } from './types.ts'

/** Takes the name off a customer; false when that was done before. */
export async function anonymiseCustomer(tx: Tx<DB>, organizationId: string, id: string, at: Date): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('customers')
    .set((set) => ({ name: null, erasedAt: at, updatedAt: at, version: set('version', '+', 1) }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .where('erasedAt', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Most customers that one number may stand for: it may have written to several of a shop's own numbers. */
const mostOfPhone = 100

/**
 * Who is known by a phone number. Their conversations are held until the commit, before their own rows are changed: who adds a message
 * takes them in this order too.
 */
export async function lockCustomersOfPhone(
  tx: Tx<DB>,
  organizationId: string,
  phone: string,
): Promise<{ customerId: string; channel: Channel; accountId: string }[]> {
  const { rows } = await sql<{ customerId: string; channel: Channel; accountId: string }>`
    select distinct on (customer_id) customer_id, channel, account_id from customer_identities
    where organization_id = ${organizationId} and phone = ${phone} order by customer_id, account_id limit ${mostOfPhone}`.execute(
    tx,
  )
  const ids = rows.map((row) => row.customerId)
  await sql`
    select 1 from conversations where organization_id = ${organizationId} and customer_id = any(${ids}::uuid[])
    order by id for no key update`.execute(tx)
  return rows
}

/** Removes what a customer is known by, and gives it. */
export async function deleteIdentities(
  tx: Tx<DB>,
  organizationId: string,
  customerId: string,
): Promise<{ channel: Channel; accountId: string; externalId: string }[]> {
  return await tx
    .deleteFrom('customerIdentities')
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .returning(['channel', 'accountId', 'externalId'])
    .execute()
}

export interface DetachedConversation {
  id: string
  chatId: string
  lastCustomerMessageAt: Date | null
}

/** Closes a customer's conversations and cuts them off from their chats; gives the conversations with the chats they had. */
export async function detachConversations(
  tx: Tx<DB>,
  organizationId: string,
  customerId: string,
  at: Date,
): Promise<DetachedConversation[]> {
  const { rows } = await sql<DetachedConversation>`
    with had as (
      select organization_id, id, channel, account_id, chat_id, last_customer_message_at from conversations
      where organization_id = ${organizationId} and customer_id = ${customerId} and chat_id is not null
      for no key update
    ), detached as (
      update conversations c set
        chat_id = null, chat_name = null, status = 'closed', closed_at = ${at}::timestamptz, erased_at = ${at}::timestamptz,
        updated_at = ${at}::timestamptz, unread_count = 0, assignee = null, note = null, language = null, intent = null, sentiment = null,
        handed_over_note = null
      from had where c.organization_id = had.organization_id and c.id = had.id
    ), forgotten as (
      delete from early_arrivals e using had
      where e.organization_id = had.organization_id and e.channel = had.channel and e.account_id = had.account_id and e.chat_id = had.chat_id
    )
    select id, chat_id, last_customer_message_at from had`.execute(tx)
  return rows
}

/** Remembers erased identities by their hashes, so that late deliveries do not bring them back (reliability.md F25). */
export async function suppress(tx: Tx<DB>, organizationId: string, hashes: readonly string[], erasedBefore: Date): Promise<void> {
  await sql`
    insert into suppressions (organization_id, identity_hash, erased_before)
    select ${organizationId}::uuid, hash, ${erasedBefore}::timestamptz from unnest(${hashes}::text[]) as hash
    on conflict (organization_id, identity_hash) do update
      set erased_before = greatest(suppressions.erased_before, excluded.erased_before)`.execute(tx)
}

/** Up to when what came from an identity belongs to an erased person; undefined: it was never erased. */
export async function findSuppression(tx: Tx<DB>, organizationId: string, hash: string): Promise<Date | undefined> {
  const { rows } = await sql<{ erasedBefore: Date }>`
    select erased_before from suppressions where organization_id = ${organizationId} and identity_hash = ${hash}`.execute(tx)
  return rows[0]?.erasedBefore
}

/** Whether a chat belongs to somebody who was erased and has not written since. */
export async function isErasedChat(tx: Tx<DB>, organizationId: string, hash: string, chat: Chat): Promise<boolean> {
  const row = await tx
    .selectFrom('suppressions')
    .select('identityHash')
    .where('organizationId', '=', organizationId)
    .where('identityHash', '=', hash)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('conversations')
            .select('conversations.id')
            .where('conversations.organizationId', '=', organizationId)
            .where('conversations.channel', '=', chat.channel)
            .where('conversations.accountId', '=', chat.accountId)
            .where('conversations.chatId', '=', chat.chatId),
        ),
      ),
    )
    .executeTakeFirst()
  return row !== undefined
}

export interface NewErasure {
  id: string
  customerId: string
  channel: Channel
  conversationIds: string[]
  requestedAt: Date
  erasedAt: Date
}

export async function insertErasure(tx: Tx<DB>, organizationId: string, erasure: NewErasure): Promise<void> {
  await tx
    .insertInto('erasures')
    .values({ organizationId, ...erasure, completedAt: null })
    .execute()
}

export async function findErasure(tx: Tx<DB>, organizationId: string, customerId: string) {
  return await tx
    .selectFrom('erasures')
    .select(['id', 'conversationIds', 'messageCount', 'requestedAt', 'erasedAt', 'completedAt'])
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .executeTakeFirst()
}

/**
 * Removes what up to `limit` messages said, who said it, and their history. The rows stay as empty places: they keep the
 * provider's names, by which late reports are recognised. Gives how many it emptied.
 */
export async function emptyMessages(
  tx: Tx<DB>,
  organizationId: string,
  which: { conversationIds: readonly string[]; keepMessageId: string; limit: number; at: Date },
): Promise<number> {
  const { rows } = await sql<{ emptied: number }>`
    with due as (
      select organization_id, id from messages
      where organization_id = ${organizationId} and conversation_id = any(${which.conversationIds}::uuid[]) and erased_at is null
        and id <> ${which.keepMessageId}::uuid
      limit ${which.limit}
      for no key update
    ), emptied as (
      update messages m set
        text = null, sender_id = null, sender_name = null, failure_detail = null, status_errors = '[]', quick_replies = '[]',
        content = jsonb_build_object('type', m.type, 'attachments', '[]'::jsonb, 'location', null, 'contacts', '[]'::jsonb, 'choice', null, 'order', null),
        wants_reply = false, intent = null, sentiment = null, erased_at = ${which.at}::timestamptz
      from due where m.organization_id = due.organization_id and m.id = due.id
    ), edits as (
      delete from message_edits e using due where e.organization_id = due.organization_id and e.message_id = due.id
    ), reactions as (
      delete from message_reactions r using due where r.organization_id = due.organization_id and r.message_id = due.id
    ), reports as (
      update message_status_history h set errors = '[]' from due where h.organization_id = due.organization_id and h.message_id = due.id
    )
    select count(*)::int as emptied from due`.execute(tx)
  return rows[0]?.emptied ?? 0
}

/** Adds to the receipt of an erasure; `completedAt` when nothing is left. */
export async function noteErasureProgress(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  progress: { emptied: number; completedAt: Date | null },
): Promise<void> {
  await tx
    .updateTable('erasures')
    .set((set) => ({ messageCount: set('messageCount', '+', progress.emptied), completedAt: progress.completedAt }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .execute()
}
