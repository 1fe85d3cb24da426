import {
  type Channel,
  type ChatKind,
  type ConversationStatus,
  type MessageContent,
  type MessageStatus,
  type Quote,
  type SenderKind,
  unknownChat,
} from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
import { sql } from 'kysely'
import { statusRank } from '../rules/status.ts'
import type { Chat } from './conversations.ts'
import type { DB, EarlyArrivals, Messages, QuickReplies, StoredContent } from './types.ts'

/** The name a provider gave a message. Who writes may choose it, so it is unique in its chat and nowhere else. */
export interface ProviderMessage extends Chat {
  providerMessageId: string
}

export interface NewMessage {
  id: string
  conversationId: string
  sender: SenderKind
  senderId: string | null
  senderName: string | null
  origin: string | null
  /** For a person of the shop: the key that wrote it. */
  author: string | null
  content: MessageContent
  quickReplies: QuickReplies
  status: MessageStatus
  providerMessageId: string | null
  clientMessageId: string | null
  turnId: string | null
  replyToMessageId: string | null
  replyToProviderMessageId: string | null
  wantsReply: boolean
  basedOnVersion: number | null
  confidence: number | null
  model: string | null
  simulated: boolean | null
  sentAt: Date | null
  addedAt: Date
  orderedAt: Date
  /** What the conversation becomes with it. */
  conversationStatus: ConversationStatus
  agentReplyTimes: Date[]
}

export interface EarlyArrival {
  kind: EarlyArrivals['kind']
  /** The data of the event that came too early. */
  data: unknown
}

export interface AddedMessage {
  version: number
  early: EarlyArrival[]
  /** The message that it answers to, unless that was deleted. */
  quotes: Quote | null
}

/** Content as it is stored: the words apart, in a column of their own. */
function stored(content: MessageContent): StoredContent {
  const { text: _, ...rest } = content
  return rest
}

/** Content as the contract has it. */
export function restored(row: { content: StoredContent; text: string | null }): MessageContent {
  return { ...row.content, text: row.text }
}

/** The key that decides whether a message is there already: whoever wrote it names it once. */
function onceBy(message: NewMessage) {
  if (message.turnId !== null) return sql`(organization_id, turn_id) where turn_id is not null`
  if (message.clientMessageId !== null)
    return sql`(organization_id, conversation_id, client_message_id) where client_message_id is not null`
  return sql`(organization_id, conversation_id, provider_message_id) where provider_message_id is not null`
}

/**
 * Adds a message to a conversation that this transaction holds, and moves the conversation along, in one statement.
 * Undefined when the message is there already: then nothing changes. Brings along what had come for it too early.
 */
export async function addMessage(tx: Tx<DB>, organizationId: string, message: NewMessage): Promise<AddedMessage | undefined> {
  const { sender } = message
  const { rows } = await sql<{ version: number; early: EarlyArrival[] | null; quotes: Quote | null }>`
    with added as (
      insert into messages (
        organization_id, id, conversation_id, channel, account_id, version, sender, sender_id, sender_name, origin, author, type, text, content,
        quick_replies, status, status_rank, provider_message_id, client_message_id, turn_id, reply_to_message_id, reply_to_provider_message_id,
        wants_reply, based_on_version, confidence, model, simulated, sent_at, added_at, ordered_at)
      select
        c.organization_id, ${message.id}::uuid, c.id, c.channel, c.account_id, c.version + 1, ${sender}::text, ${message.senderId}::text,
        ${message.senderName}::text, ${message.origin}::text, ${message.author}::text, ${message.content.type}::text, ${message.content.text}::text,
        ${JSON.stringify(stored(message.content))}::jsonb, ${JSON.stringify(message.quickReplies)}::jsonb, ${message.status}::text,
        ${statusRank(message.status)}::smallint, ${message.providerMessageId}::text, ${message.clientMessageId}::text, ${message.turnId}::uuid,
        coalesce(${message.replyToMessageId}::uuid, (
          select q.id from messages q where q.organization_id = c.organization_id and q.conversation_id = c.id
            and q.provider_message_id = ${message.replyToProviderMessageId}::text)),
        ${message.replyToProviderMessageId}::text, ${message.wantsReply}::boolean, ${message.basedOnVersion}::integer,
        ${message.confidence}::double precision, ${message.model}::text, ${message.simulated}::boolean, ${message.sentAt}::timestamptz,
        ${message.addedAt}::timestamptz, ${message.orderedAt}::timestamptz
      from conversations c
      where c.organization_id = ${organizationId} and c.id = ${message.conversationId}
      on conflict ${onceBy(message)} do nothing
      returning organization_id, conversation_id, channel, account_id, version, ordered_at, provider_message_id, reply_to_message_id
    ), moved as (
      update conversations c set
        version = a.version,
        status = ${message.conversationStatus}::text,
        closed_at = case when ${message.conversationStatus}::text = 'closed' then c.closed_at end,
        last_human_version = case when ${sender}::text = 'human' then a.version else c.last_human_version end,
        last_message_at = greatest(c.last_message_at, a.ordered_at),
        last_customer_message_at = case when ${sender}::text = 'user' then greatest(c.last_customer_message_at, a.ordered_at)
          else c.last_customer_message_at end,
        unread_count = case ${sender}::text when 'user' then c.unread_count + 1 when 'human' then 0 else c.unread_count end,
        message_count = c.message_count + 1,
        agent_message_count = c.agent_message_count + (${sender}::text = 'agent')::int,
        human_message_count = c.human_message_count + (${sender}::text = 'human')::int,
        agent_reply_times = ${message.agentReplyTimes}::timestamptz[],
        updated_at = ${message.addedAt}::timestamptz
      from added a
      where c.organization_id = ${organizationId} and c.id = ${message.conversationId}
    ), early as (
      delete from early_arrivals e using added a, conversations c
      where e.organization_id = ${organizationId} and e.channel = a.channel and e.account_id = a.account_id
        and e.provider_message_id = ${message.providerMessageId}::text
        and c.organization_id = ${organizationId} and c.id = a.conversation_id and e.chat_id in (c.chat_id, ${unknownChat})
      returning e.id, e.kind, e.data, e.occurred_at
    )
    select a.version,
      (select jsonb_agg(jsonb_build_object('kind', kind, 'data', data) order by occurred_at, id) from early) as early,
      (select jsonb_build_object('messageId', q.id, 'sender', q.sender, 'type', q.type, 'text', left(q.text, 500),
          'name', left(coalesce(q.content #>> '{attachments,0,fileName}', q.content #>> '{choice,title}',
            q.content #>> '{location,name}', q.content #>> '{order,title}'), 100))
        from messages q where q.organization_id = a.organization_id and q.id = a.reply_to_message_id
          and q.status <> 'deleted' and q.erased_at is null) as quotes
    from added a`.execute(tx)
  const row = rows[0]
  return row && { version: row.version, early: row.early ?? [], quotes: row.quotes }
}

/** Records an answer that may not go out, beside the conversation: it takes no place and is not sent. */
export async function recordDropped(
  tx: Tx<DB>,
  organizationId: string,
  message: NewMessage,
  why: { channel: Channel; accountId: string; reason: string },
): Promise<void> {
  const { id, conversationId, sender, content, turnId, basedOnVersion, confidence, model, simulated, addedAt, orderedAt } =
    message
  await tx
    .insertInto('messages')
    .values({
      organizationId,
      id,
      conversationId,
      channel: why.channel,
      accountId: why.accountId,
      version: null,
      sender,
      type: content.type,
      text: content.text,
      content: JSON.stringify(stored(content)),
      quickReplies: JSON.stringify(message.quickReplies),
      status: 'dropped',
      statusRank: statusRank('dropped'),
      failureReason: why.reason,
      turnId,
      basedOnVersion,
      confidence,
      model,
      simulated,
      addedAt,
      orderedAt,
    })
    .onConflict((conflict) => conflict.columns(['organizationId', 'turnId']).where('turnId', 'is not', null).doNothing())
    .execute()
}

export interface KnownMessage {
  id: string
  conversationId: string
  chatKind: ChatKind
  sender: SenderKind
  senderId: string | null
  status: MessageStatus
  text: string | null
  content: StoredContent
  editedAt: Date | null
  deletedAt: Date | null
  erasedAt: Date | null
}

/**
 * Those messages `m` of conversation `c` that may be meant by a provider's name: in the chat that is named, or in one that was cut off from
 * it by an erasure, or in any where none is named. More than one of them means that nobody knows which.
 */
const named = ({ channel, accountId, chatId, providerMessageId }: ProviderMessage) => sql<boolean>`
  m.channel = ${channel} and m.account_id = ${accountId} and m.provider_message_id = ${providerMessageId}
  and (c.chat_id = ${chatId} or c.chat_id is null or ${chatId} = ${unknownChat})`

/** The message that the provider knows by that name in that chat, held until the commit. */
export async function lockMessageOfProvider(
  tx: Tx<DB>,
  organizationId: string,
  name: ProviderMessage,
): Promise<KnownMessage | undefined> {
  const { rows } = await sql<KnownMessage>`
    select m.id, m.conversation_id, c.chat_kind, m.sender, m.sender_id, m.status, m.text, m.content, m.edited_at, m.deleted_at, m.erased_at
    from messages m join conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
    where m.organization_id = ${organizationId} and ${named(name)}
    order by (c.chat_id is not null) desc limit 2 for no key update of m`.execute(tx)
  return name.chatId === unknownChat && rows.length > 1 ? undefined : rows[0]
}

export async function isKnownToProvider(tx: Tx<DB>, organizationId: string, name: ProviderMessage): Promise<boolean> {
  const { rows } = await sql`
    select 1 from messages m join conversations c on c.organization_id = m.organization_id and c.id = m.conversation_id
    where m.organization_id = ${organizationId} and ${named(name)} limit 1`.execute(tx)
  return rows.length > 0
}

/** A message of ours that has no name at the provider yet and says the same words: the one that an echo repeats. */
export async function findUnnamedMessage(
  tx: Tx<DB>,
  organizationId: string,
  conversationId: string,
  echo: { text: string | null; from: Date; until: Date },
): Promise<string | undefined> {
  const row = await tx
    .selectFrom('messages')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('conversationId', '=', conversationId)
    .where('providerMessageId', 'is', null)
    .where('version', 'is not', null)
    .where('sender', '!=', 'user')
    .where('status', 'in', ['queued', 'pending', 'failed'])
    .where('text', 'is not distinct from', echo.text)
    .where('orderedAt', '>=', echo.from)
    .where('orderedAt', '<=', echo.until)
    .orderBy('orderedAt')
    .executeTakeFirst()
  return row?.id
}

/** Replaces what a message holds beside its words. */
export async function completeContent(tx: Tx<DB>, organizationId: string, id: string, content: MessageContent): Promise<void> {
  await tx
    .updateTable('messages')
    .set({ type: content.type, content: JSON.stringify(stored(content)) })
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .execute()
}

const shown = [
  'id',
  'conversationId',
  'version',
  'sender',
  'senderName',
  'origin',
  'author',
  'text',
  'content',
  'quickReplies',
  'status',
  'statusErrors',
  'failureReason',
  'failureDetail',
  'providerMessageId',
  'clientMessageId',
  'turnId',
  'replyToMessageId',
  'basedOnVersion',
  'intent',
  'sentiment',
  'confidence',
  'model',
  'simulated',
  'sentAt',
  'addedAt',
  'editedAt',
  'deletedAt',
  'erasedAt',
] as const satisfies readonly (keyof Messages)[]

export type MessageRow = NonNullable<Awaited<ReturnType<typeof findMessage>>>

export async function findMessage(tx: Tx<DB>, organizationId: string, id: string) {
  return await selectShown(tx, organizationId).where('id', '=', id).executeTakeFirst()
}

export async function findMessageOfClient(tx: Tx<DB>, organizationId: string, conversationId: string, clientMessageId: string) {
  return await selectShown(tx, organizationId)
    .where('conversationId', '=', conversationId)
    .where('clientMessageId', '=', clientMessageId)
    .executeTakeFirst()
}

/** One page of a conversation in reading order, and how many messages it has. */
export async function listMessages(
  tx: Tx<DB>,
  organizationId: string,
  conversationId: string,
  page: { limit: number; offset: number; order: 'asc' | 'desc' },
): Promise<{ rows: MessageRow[]; total: number }> {
  const rows = await selectShown(tx, organizationId)
    .where('conversationId', '=', conversationId)
    .orderBy('orderedAt', page.order)
    .orderBy('version', page.order)
    .orderBy('id', page.order)
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const matching = tx
    .selectFrom('messages')
    .where('organizationId', '=', organizationId)
    .where('conversationId', '=', conversationId)
  return { rows, total: await totalOf(tx, matching) }
}

function selectShown(tx: Tx<DB>, organizationId: string) {
  return tx.selectFrom('messages').select(shown).where('organizationId', '=', organizationId)
}
