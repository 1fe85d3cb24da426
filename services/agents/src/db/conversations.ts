import type { Channel } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB, Messages } from './types.ts'

export interface SeenMessage {
  conversationId: string
  version: number
  messageId: string
  customerId: string
  channel: Channel
  accountId: string
  chatId: string
  role: Messages['role']
  text: string
  quotedMessageId: string | null
  quote: string | null
  wantsReply: boolean
  addedAt: string
  seenAt: Date
}

/**
 * Notes a message, whoever wrote it. A person's message closes what was waiting: the customer has their answer. Words from before
 * an erasure are not stored again.
 */
export async function noteMessage(tx: Tx<DB>, organizationId: string, message: SeenMessage): Promise<void> {
  const byPerson = message.role === 'person' ? message.version : 0
  const personAt = message.role === 'person' ? message.seenAt : null
  await sql`
    with conversation as (
      insert into conversations as c (organization_id, id, customer_id, channel, account_id, chat_id, version,
        closed_version, last_human_version, with_person, person_at)
      values (${organizationId}, ${message.conversationId}, ${message.customerId}, ${message.channel}, ${message.accountId},
        ${message.chatId}, ${message.version}, ${byPerson}, ${byPerson}, ${byPerson > 0}, ${personAt})
      on conflict (organization_id, id) do update set
        version = greatest(c.version, excluded.version),
        chat_id = excluded.chat_id,
        closed_version = greatest(c.closed_version, excluded.closed_version),
        last_human_version = greatest(c.last_human_version, excluded.last_human_version),
        with_person = excluded.with_person or (c.with_person and not ${message.wantsReply}::boolean),
        person_at = coalesce(excluded.person_at, c.person_at),
        updated_at = now()
      where c.erased_at is null or c.erased_at < ${message.addedAt}::timestamptz
      returning c.id
    )
    insert into messages (organization_id, conversation_id, version, id, role, text, quoted_message_id, quote, wants_reply,
      added_at, seen_at)
    select ${organizationId}::uuid, conversation.id, ${message.version}::int, ${message.messageId}::uuid, ${message.role}::text,
      ${message.text}::text, ${message.quotedMessageId}::uuid, ${message.quote}::text, ${message.wantsReply}::boolean, ${message.addedAt}::timestamptz, ${message.seenAt}::timestamptz
    from conversation
    on conflict do nothing`.execute(tx)
}

/** Notes that a person has the conversation: nothing waits for an agent any more. */
export async function notePersonTookOver(tx: Tx<DB>, organizationId: string, id: string, at: Date): Promise<void> {
  await sql`
    update conversations set with_person = true, person_at = ${at}, closed_version = version,
      model_failures = 0, retry_at = null, updated_at = now()
    where organization_id = ${organizationId} and id = ${id}`.execute(tx)
}

/** A conversation held until the commit, with all that a turn must know before it reads the words. */
export interface HeldConversation {
  closedVersion: number
  language: string | null
  modelFailures: number
  retryAt: Date | null
  turnsToday: number
  answersInWindow: number
  /** A try of the turn whose end was never recorded: the run before this one died. */
  openReservationId: string | null
  openTurnId: string | null
}

/** Holding the row makes this wait for a message that is just being noted, so that no message falls between two turns. */
export async function holdConversation(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  since: { midnight: Date; loop: Date },
): Promise<HeldConversation | undefined> {
  const { rows } = await sql<HeldConversation>`
    select c.closed_version, c.language, c.model_failures, c.retry_at,
      recent.turns_today, recent.answers_in_window, under_way.id as open_reservation_id, under_way.turn_id as open_turn_id
    from conversations c
    cross join lateral (
      select count(*) filter (where t.taken_at >= ${since.midnight}::timestamptz)::int as turns_today,
        count(*) filter (where t.outcome = 'replied' and t.taken_at >= ${since.loop}::timestamptz
          and (c.person_at is null or t.taken_at > c.person_at))::int as answers_in_window
      from turns t
      where t.organization_id = c.organization_id and t.conversation_id = c.id
        and t.taken_at >= least(${since.midnight}::timestamptz, ${since.loop}::timestamptz)
    ) recent
    left join lateral (
      select r.id, r.turn_id from spend_reservations r
      where r.organization_id = c.organization_id and r.conversation_id = c.id and r.settled_micros is null
      limit 1
    ) under_way on true
    where c.organization_id = ${organizationId} and c.id = ${id}
    for no key update of c`.execute(tx)
  return rows[0]
}

/**
 * Whether the customer of a conversation wrote in it within a time. Their oldest words are forgotten after a turn that read them, so a
 * turn within that time says the same. Asked only while new customers are stopped.
 */
export async function isCustomerSince(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  since: Date,
  before: Date,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from messages
    where organization_id = ${organizationId} and conversation_id = ${id} and role = 'customer'
      and added_at >= ${since} and added_at < ${before}
    union all
    select 1 from turns
    where organization_id = ${organizationId} and conversation_id = ${id} and taken_at >= ${since} and taken_at < ${before}
    limit 1`.execute(tx)
  return rows.length > 0
}

/** What a conversation has become by the end of a turn. */
export interface TurnClosed {
  lastHumanVersion: number
  withPerson: boolean
  erasedAt: Date | null
  /** False when words that it read were edited or deleted since: then none of them is marked as answered. */
  readsTheSame: boolean
}

/** Marks what a turn has read, so that no other turn answers it. Undefined: there is no such conversation. */
export async function closeTurn(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  read: { turnId: string; versions: number[]; revisions: number[]; language: string | null },
): Promise<TurnClosed | undefined> {
  const { rows } = await sql<TurnClosed>`
    with same as (
      -- Not "= any": how many there are makes Postgres plan it anew each time. Held, so that no edit comes in between.
      select version from messages
      where organization_id = ${organizationId} and conversation_id = ${id}
        and (version, revision) in (select * from unnest(${read.versions}::int[], ${read.revisions}::int[]))
      for no key update
    ), read as (
      update messages set turn_id = ${read.turnId}
      where organization_id = ${organizationId} and conversation_id = ${id} and version in (select version from same)
        and (select count(*) from same) = ${read.versions.length}::int
    )
    update conversations set language = case when erased_at is null then coalesce(${read.language}::text, language) end,
      model_failures = 0, retry_at = null, updated_at = now()
    where organization_id = ${organizationId} and id = ${id}
    returning last_human_version, with_person, erased_at,
      (select count(*) from same) = ${read.versions.length}::int as reads_the_same`.execute(tx)
  return rows[0]
}

/** Notes that the model could not be asked, and when to try again. */
export async function noteModelFailure(tx: Tx<DB>, organizationId: string, id: string, retryAt: Date): Promise<void> {
  await tx
    .updateTable('conversations')
    .set((eb) => ({ modelFailures: eb('modelFailures', '+', 1), retryAt }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .execute()
}

/**
 * Deletes what was said in these conversations up to a moment and leaves a mark in place of each, known or not: an event about
 * older words may still be on its way, in another lane.
 */
export async function eraseConversations(
  tx: Tx<DB>,
  organizationId: string,
  erased: { customerId: string; channel: Channel; accountId: string; conversationIds: string[]; erasedAt: string },
): Promise<void> {
  await sql`
    delete from messages
    where organization_id = ${organizationId} and conversation_id = any(${erased.conversationIds}::uuid[])
      and added_at <= ${erased.erasedAt}::timestamptz`.execute(tx)
  await sql`
    insert into conversations as c (organization_id, id, customer_id, channel, account_id, chat_id, version, erased_at)
    select ${organizationId}::uuid, id, ${erased.customerId}::uuid, ${erased.channel}::text, ${erased.accountId}::text, null, 0,
      ${erased.erasedAt}::timestamptz
    from unnest(${erased.conversationIds}::uuid[]) as id
    on conflict (organization_id, id) do update set
      chat_id = null, language = null, erased_at = excluded.erased_at, retry_at = null, model_failures = 0, updated_at = now()`.execute(
    tx,
  )
}
