import type { Channel, ChatKind, ConversationStatus } from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
import { type RawBuilder, sql } from 'kysely'
import type { HandOverReason } from '../rules/conversation.ts'
import type { DB } from './types.ts'

/** Where a conversation takes place, as the provider names it. */
export interface Chat {
  channel: Channel
  accountId: string
  chatId: string
}

/** A conversation whose row this transaction holds: nobody else adds to it until the commit. */
export interface LockedConversation {
  id: string
  customerId: string
  customerName: string | null
  channel: Channel
  accountId: string
  chatId: string | null
  chatKind: ChatKind
  status: ConversationStatus
  assignee: string | null
  version: number
  lastHumanVersion: number
  lastMessageAt: Date | null
  agentReplyTimes: Date[]
  handedOverTurnId: string | null
  erasedBefore: Date | null
  erasedAt: Date | null
  /** What the customer last said about being written to here; null: nothing. */
  consent: 'granted' | 'withdrawn' | null
}

/** The conversation of a chat, held until the commit; undefined when nobody has written there (or was erased since). */
export async function lockConversationOfChat(
  tx: Tx<DB>,
  organizationId: string,
  chat: Chat,
): Promise<LockedConversation | undefined> {
  const { channel, accountId, chatId } = chat
  return await selectLocked(
    tx,
    organizationId,
    sql`c.channel = ${channel} and c.account_id = ${accountId} and c.chat_id = ${chatId}`,
  )
}

/** The conversation with that id, held until the commit. */
export async function lockConversation(tx: Tx<DB>, organizationId: string, id: string): Promise<LockedConversation | undefined> {
  return await selectLocked(tx, organizationId, sql`c.id = ${id}`)
}

/**
 * What belongs to the conversation is read by its own keys once the row is found, never by a join: a plan is made once per connection,
 * often while the tables are still empty, and one that begins at the organization's customers walks all of them ever after.
 */
async function selectLocked(
  tx: Tx<DB>,
  organizationId: string,
  which: RawBuilder<unknown>,
): Promise<LockedConversation | undefined> {
  // Not "for update": rows that refer to the conversation (its messages) may still be checked against it.
  const { rows } = await sql<LockedConversation>`
    select c.id, c.customer_id, c.channel, c.account_id, c.chat_id, c.chat_kind, c.status, c.assignee, c.version, c.last_human_version,
      c.last_message_at, c.agent_reply_times, c.handed_over_turn_id, c.erased_before, c.erased_at,
      (select p.name from customers p where p.organization_id = ${organizationId} and p.id = c.customer_id) as customer_name,
      (select s.state from consent_states s where s.organization_id = ${organizationId} and s.customer_id = c.customer_id
         and s.channel = c.channel and s.purpose = 'conversation') as consent
    from conversations c
    where c.organization_id = ${organizationId} and ${which}
    for no key update of c`.execute(tx)
  return rows[0]
}

export interface NewConversation extends Chat {
  id: string
  customerId: string
  identityId: string
  chatKind: ChatKind
  chatName: string | null
  customerName: string | null
  phone: string | null
  source: string
  erasedBefore: Date | null
  startedAt: Date
}

/**
 * Customer, identity and conversation in one statement, or nothing when the identity exists: it is the unique key on which
 * ten messages of one album agree (reliability.md F24). The references between them are checked when the statement ends.
 */
export async function insertConversationWithCustomer(
  tx: Tx<DB>,
  organizationId: string,
  start: NewConversation,
): Promise<boolean> {
  const { rows } = await sql`
    with identity as (
      insert into customer_identities (organization_id, id, customer_id, channel, account_id, external_id, phone)
      values (${organizationId}, ${start.identityId}, ${start.customerId}, ${start.channel}, ${start.accountId}, ${start.chatId}, ${start.phone})
      on conflict (organization_id, channel, account_id, external_id) do nothing
      returning organization_id, customer_id
    ), customer as (
      insert into customers (organization_id, id, kind, name)
      select organization_id, customer_id, ${start.chatKind}::text, ${start.customerName}::text from identity
    )
    insert into conversations (
      organization_id, id, customer_id, channel, account_id, chat_id, chat_kind, chat_name, source, erased_before, started_at)
    select organization_id, ${start.id}::uuid, customer_id, ${start.channel}::text, ${start.accountId}::text, ${start.chatId}::text,
      ${start.chatKind}::text, ${start.chatName}::text, ${start.source}::text, ${start.erasedBefore}::timestamptz, ${start.startedAt}::timestamptz
    from identity
    returning id`.execute(tx)
  return rows.length > 0
}

/** A conversation for a customer who is already known by that identity; false when there is one. */
export async function insertConversationOfIdentity(tx: Tx<DB>, organizationId: string, start: NewConversation): Promise<boolean> {
  const { rows } = await sql`
    insert into conversations (
      organization_id, id, customer_id, channel, account_id, chat_id, chat_kind, chat_name, source, erased_before, started_at)
    select organization_id, ${start.id}::uuid, customer_id, channel, account_id, external_id,
      ${start.chatKind}::text, ${start.chatName}::text, ${start.source}::text, ${start.erasedBefore}::timestamptz, ${start.startedAt}::timestamptz
    from customer_identities
    where organization_id = ${organizationId} and channel = ${start.channel} and account_id = ${start.accountId}
      and external_id = ${start.chatId}
    on conflict (organization_id, channel, account_id, chat_id) do nothing
    returning id`.execute(tx)
  return rows.length > 0
}

export interface Handover {
  reason: HandOverReason
  note: string | null
  /** The turn that handed over. */
  turnId: string | null
  at: Date
}

/** Gives an open conversation to a person; false when it was not open (a person has it already, or it is closed). */
export async function setHandedOver(tx: Tx<DB>, organizationId: string, id: string, handover: Handover): Promise<boolean> {
  const { numUpdatedRows } = await updateHandover(tx, organizationId, id, handover)
    .set('status', 'with_person')
    .where('status', '=', 'open')
    .where('erasedAt', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Remembers why a person has a conversation that became theirs with their own message. */
export async function recordHandover(tx: Tx<DB>, organizationId: string, id: string, handover: Handover): Promise<void> {
  await updateHandover(tx, organizationId, id, handover).execute()
}

function updateHandover(tx: Tx<DB>, organizationId: string, id: string, { reason, note, turnId, at }: Handover) {
  return tx
    .updateTable('conversations')
    .set({ handedOverAt: at, handedOverReason: reason, handedOverNote: note, handedOverTurnId: turnId, updatedAt: at })
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
}

/** What a person of the shop changed about a conversation; what is left out stays. */
export interface ConversationChange {
  status: ConversationStatus
  assignee?: string | null
  note?: string | null
  markRead: boolean
  /** A person takes it over with this. */
  takenOver: boolean
  at: Date
}

export async function changeConversation(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  change: ConversationChange,
): Promise<void> {
  const { status, at } = change
  const taken = { handedOverAt: at, handedOverReason: 'person_took_over', handedOverNote: null, handedOverTurnId: null }
  const givenBack = {
    handedOverAt: null,
    handedOverReason: null,
    handedOverNote: null,
    handedOverTurnId: null,
    agentReplyTimes: [],
  }
  await tx
    .updateTable('conversations')
    .set((set) => ({
      status,
      updatedAt: at,
      closedAt: status === 'closed' ? set.fn.coalesce('closedAt', set.val(at)) : null,
      ...(change.assignee === undefined ? {} : { assignee: change.assignee }),
      ...(change.note === undefined ? {} : { note: change.note }),
      ...(change.markRead ? { unreadCount: 0 } : {}),
      ...(status === 'open' ? givenBack : {}),
      ...(change.takenOver ? taken : {}),
    }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .execute()
}

/** What a turn understood; a null leaves what was known before. */
export async function setUnderstanding(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  turn: {
    messageIds: readonly string[]
    language: string | null
    intent: string | null
    sentiment: string | null
    confidence: number | null
  },
): Promise<void> {
  await sql`
    with understood as (
      update messages set
        intent = coalesce(${turn.intent}::text, intent),
        sentiment = coalesce(${turn.sentiment}::text, sentiment),
        confidence = coalesce(${turn.confidence}::double precision, confidence)
      where organization_id = ${organizationId} and conversation_id = ${id} and id = any(${turn.messageIds}::uuid[]) and erased_at is null
    )
    update conversations set
      language = coalesce(${turn.language}::text, language),
      intent = coalesce(${turn.intent}::text, intent),
      sentiment = coalesce(${turn.sentiment}::text, sentiment)
    where organization_id = ${organizationId} and id = ${id} and erased_at is null`.execute(tx)
}

const shown = [
  'id',
  'customerId',
  'channel',
  'accountId',
  'chatId',
  'chatKind',
  'chatName',
  'source',
  'status',
  'version',
  'lastHumanVersion',
  'lastMessageAt',
  'lastCustomerMessageAt',
  'unreadCount',
  'messageCount',
  'agentMessageCount',
  'humanMessageCount',
  'assignee',
  'note',
  'language',
  'intent',
  'sentiment',
  'handedOverAt',
  'handedOverReason',
  'handedOverNote',
  'startedAt',
  'closedAt',
  'erasedAt',
] as const

export type ConversationRow = NonNullable<Awaited<ReturnType<typeof findConversation>>>

export async function findConversation(tx: Tx<DB>, organizationId: string, id: string) {
  return await tx
    .selectFrom('conversations')
    .select(shown)
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
}

export interface ConversationFilter {
  status?: ConversationStatus | undefined
  channel?: Channel | undefined
  customerId?: string | undefined
}

/** One page of conversations by when they were last spoken in, and how many there are. */
export async function listConversations(
  tx: Tx<DB>,
  organizationId: string,
  filter: ConversationFilter,
  page: { limit: number; offset: number; order: 'asc' | 'desc' },
): Promise<{ rows: ConversationRow[]; total: number }> {
  let query = tx.selectFrom('conversations').where('organizationId', '=', organizationId)
  if (filter.status !== undefined) query = query.where('status', '=', filter.status)
  if (filter.channel !== undefined) query = query.where('channel', '=', filter.channel)
  if (filter.customerId !== undefined) query = query.where('customerId', '=', filter.customerId)
  const rows = await query
    .select(shown)
    .orderBy('lastMessageAt', page.order)
    .orderBy('id')
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const total = await totalOf(tx, query)
  return { rows, total }
}
