import type { DataOf, messageSendRequested } from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
import { sql, type Selectable } from 'kysely'
import { chatDigest } from '../chat-digest.ts'
import type { Channels, ChannelState, DB, OutgoingMessages, OutgoingState } from './types.ts'

export type Outgoing = Selectable<OutgoingMessages>

/** Written out, not as parameters: a prepared statement can use the partial indexes only so. */
const isPending = sql<boolean>`state in ('queued', 'sending')`

/** False when the message is known already. */
export async function insertOutgoing(
  tx: Tx<DB>,
  organizationId: string,
  request: DataOf<typeof messageSendRequested>,
  correlationId: string,
): Promise<boolean> {
  const { attachment } = request
  const inserted = await sql`
    insert into outgoing_messages (
      organization_id, id, conversation_id, customer_id, channel, account_id, chat_id, chat_digest, text, attachment, quick_replies,
      reply_to_provider_message_id, sender, based_on_version, requested_at, correlation_id)
    values (
      ${organizationId}, ${request.messageId}, ${request.conversationId}, ${request.customerId}, ${request.channel}, ${request.accountId},
      ${request.chatId}, ${chatDigest(request.accountId, request.chatId)}, ${request.text}, ${attachment && JSON.stringify(attachment)}::jsonb,
      ${JSON.stringify(request.quickReplies)}::jsonb, ${request.replyToProviderMessageId}, ${request.sender}, ${request.basedOnVersion},
      ${request.requestedAt}, ${correlationId})
    on conflict (organization_id, id) do nothing`.execute(tx)
  return inserted.numAffectedRows === 1n
}

/** A message that is to go out, with its channel when there is one. */
export interface NextOutgoing {
  message: Outgoing & { chatId: string; chatDigest: string }
  channel:
    | {
        organizationId: string
        accountId: string
        baseUrl: string
        sealedToken: string
        tokenVersion: number
        status: ChannelState
        perSecond: number | null
        connectionId: string | null
      }
    | undefined
}

type ChannelColumns = {
  [Column in 'baseUrl' | 'sealedToken' | 'tokenVersion' | 'status' | 'perSecond' | 'connectionId']:
    | Selectable<Channels>[Column]
    | null
}

/** The oldest message of a chat that still has to go out. */
export async function findNextOutgoing(tx: Tx<DB>, organizationId: string, digest: string): Promise<NextOutgoing | undefined> {
  const { rows } = await sql<Outgoing & ChannelColumns>`
    select m.*, c.base_url, c.sealed_token, c.token_version, c.status, c.per_second, c.connection_id
    from outgoing_messages m
    left join channels c on c.organization_id = m.organization_id and c.account_id = m.account_id and c.channel = m.channel
    where m.organization_id = ${organizationId} and m.chat_digest = ${digest} and m.state in ('queued', 'sending')
    order by m.position limit 1`.execute(tx)
  const row = rows[0]
  if (row === undefined) return undefined
  const { baseUrl, sealedToken, tokenVersion, status, perSecond, connectionId, ...message } = row
  const { chatId } = message
  if (chatId === null) throw new Error('A message that is to go out has lost its chat.')
  const channel =
    baseUrl === null || sealedToken === null || tokenVersion === null || status === null
      ? undefined
      : { organizationId, accountId: message.accountId, baseUrl, sealedToken, tokenVersion, status, perSecond, connectionId }
  return { message: { ...message, chatId, chatDigest: digest }, channel }
}

/** What may speak against a send. */
export type Attempt = Pick<Outgoing, 'sender' | 'basedOnVersion' | 'requestedAt'> & {
  lastHumanVersion: number | null
  withdrawnAt: Date | null
}

/** Of the message `m`: what it was based on, and what was done or said since. */
const objections = `m.sender, m.based_on_version, m.requested_at,
  (select g.last_human_version from conversation_guards g
   where g.organization_id = m.organization_id and g.conversation_id = m.conversation_id) as last_human_version,
  (select w.withdrawn_at from consent_withdrawals w
   where w.organization_id = m.organization_id and w.customer_id = m.customer_id and w.channel = m.channel) as withdrawn_at`

/** Marks the attempt and reads what speaks against it, in one statement. Undefined: the message has been settled meanwhile. */
export async function beginAttempt(tx: Tx<DB>, organizationId: string, id: string): Promise<Attempt | undefined> {
  const { rows } = await sql<Attempt>`
    update outgoing_messages m set state = 'sending', attempts = m.attempts + 1
    where m.organization_id = ${organizationId} and m.id = ${id} and m.state in ('queued', 'sending')
    returning ${sql.raw(objections)}`.execute(tx)
  return rows[0]
}

/** What speaks against sending a message that exists. */
export async function readObjections(tx: Tx<DB>, organizationId: string, { id }: { id: string }): Promise<Attempt> {
  const { rows } = await sql<Attempt>`
    select ${sql.raw(objections)} from outgoing_messages m where m.organization_id = ${organizationId} and m.id = ${id}`.execute(
    tx,
  )
  return rows[0] as Attempt
}

/** Chats in which an answer of an agent still has to go out, of a conversation or of a customer; a hundred at most. */
export async function chatsWithAnswers(
  tx: Tx<DB>,
  organizationId: string,
  of: { conversationId: string } | { customerId: string },
): Promise<string[]> {
  const [column, id] =
    'customerId' in of ? (['customerId', of.customerId] as const) : (['conversationId', of.conversationId] as const)
  const rows = await tx
    .selectFrom('outgoingMessages')
    .select('chatDigest')
    .distinct()
    .where('organizationId', '=', organizationId)
    .where(column, '=', id)
    .where('sender', '=', 'agent')
    .where(isPending)
    .limit(100)
    .execute()
  return rows.map((row) => row.chatDigest as string)
}

/** The provider ids that messages to this chat have already; those sent long before cannot be confused with a new one. */
export async function claimedProviderIds(
  tx: Tx<DB>,
  organizationId: string,
  message: { accountId: string; chatId: string },
  since: Date,
): Promise<Set<string>> {
  const rows = await tx
    .selectFrom('outgoingMessages')
    .select('providerMessageId')
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', message.accountId)
    .where('chatId', '=', message.chatId)
    .where('sentAt', '>=', since)
    .where('providerMessageId', 'is not', null)
    .execute()
  return new Set(rows.map((row) => row.providerMessageId as string))
}

/** False when it was settled or erased meanwhile, and nothing changed. */
export async function markSent(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  sent: { providerMessageId: string; sentAt: Date; foundByLookup: boolean },
): Promise<boolean> {
  return settle(tx, organizationId, id, { state: 'sent', lastError: null, failure: null, ...sent })
}

/** False when it was settled or erased meanwhile, and nothing changed. */
export async function markFailed(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  failed: { state: 'failed' | 'dropped'; failure: string; lastError: string },
): Promise<boolean> {
  return settle(tx, organizationId, id, failed)
}

async function settle(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  change: {
    state: OutgoingState
    failure: string | null
    lastError: string | null
    providerMessageId?: string
    sentAt?: Date
    foundByLookup?: boolean
  },
): Promise<boolean> {
  const settled = await sql`
    update outgoing_messages set state = ${change.state}, failure = ${change.failure}, last_error = ${change.lastError},
      provider_message_id = coalesce(${change.providerMessageId ?? null}, provider_message_id),
      sent_at = coalesce(${change.sentAt ?? null}, sent_at), found_by_lookup = coalesce(${change.foundByLookup ?? null}, found_by_lookup),
      settled_at = now()
    where organization_id = ${organizationId} and id = ${id} and state in ('queued', 'sending')`.execute(tx)
  return settled.numAffectedRows === 1n
}

/** Leaves a message waiting for its channel; `newEffect` when the effect of this attempt is over and the next needs one of its own. */
export async function parkMessage(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  note: string,
  newEffect: boolean,
): Promise<void> {
  await tx
    .updateTable('outgoingMessages')
    .set((eb) => ({ state: 'queued' as const, lastError: note, round: eb('round', '+', newEffect ? 1 : 0) }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .where(isPending)
    .execute()
}

export async function hasPending(tx: Tx<DB>, organizationId: string, digest: string): Promise<boolean> {
  const row = await tx
    .selectFrom('outgoingMessages')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('chatDigest', '=', digest)
    .where(isPending)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Chats of a channel that have something to send, in the order of their digests, after the given one. */
export async function pendingChats(
  tx: Tx<DB>,
  organizationId: string,
  accountId: string,
  after: string,
  limit: number,
): Promise<string[]> {
  const rows = await tx
    .selectFrom('outgoingMessages')
    .select('chatDigest')
    .distinct()
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', accountId)
    .where(isPending)
    .where('chatDigest', '>', after)
    .orderBy('chatDigest')
    .limit(limit)
    .execute()
  return rows.map((row) => row.chatDigest as string)
}

/**
 * A person's decision to send a failed message again, whatever was written since: it counts as asked for now and goes to the
 * end of its chat. False when there is no such message that failed.
 */
export async function requeueFailed(tx: Tx<DB>, organizationId: string, id: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update outgoing_messages set state = 'queued', round = round + 1, position = default, based_on_version = null, requested_at = now(),
      failure = null, settled_at = null
    where organization_id = ${organizationId} and id = ${id} and state = 'failed' and chat_id is not null
  `.execute(tx)
  return numAffectedRows === 1n
}

export async function findOutgoing(tx: Tx<DB>, organizationId: string, id: string): Promise<Outgoing | undefined> {
  return tx
    .selectFrom('outgoingMessages')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
}

export async function listOutgoing(
  tx: Tx<DB>,
  organizationId: string,
  filter: { conversationId?: string | undefined; state?: OutgoingState | undefined; limit: number; offset: number },
): Promise<{ items: Outgoing[]; total: number }> {
  let matching = tx.selectFrom('outgoingMessages').where('organizationId', '=', organizationId)
  if (filter.conversationId !== undefined) matching = matching.where('conversationId', '=', filter.conversationId)
  if (filter.state !== undefined) matching = matching.where('state', '=', filter.state)
  const items = await matching.selectAll().orderBy('position', 'desc').limit(filter.limit).offset(filter.offset).execute()
  const total = await totalOf(tx, matching)
  return { items, total }
}

/** Removes what a customer's messages said and where they went; what was still to go out is dropped. */
export async function eraseOutgoing(
  tx: Tx<DB>,
  organizationId: string,
  erased: { conversationIds: readonly string[]; accountId: string; chatIds: readonly string[] },
): Promise<void> {
  await sql`
    update outgoing_messages set
      text = null, attachment = null, quick_replies = '[]', chat_id = null, chat_digest = null, last_error = null,
      state = case when state in ('queued', 'sending') then 'dropped' else state end,
      failure = case when state in ('queued', 'sending') then 'erased' else failure end,
      settled_at = coalesce(settled_at, now())
    where organization_id = ${organizationId}
      and (conversation_id = any(${[...erased.conversationIds]}::uuid[]) or (account_id = ${erased.accountId} and chat_id = any(${[...erased.chatIds]}::text[])))
  `.execute(tx)
}
