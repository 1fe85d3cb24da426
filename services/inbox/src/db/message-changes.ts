import { randomUUIDv7 } from 'node:crypto'
import type { MessageType } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { statusRank } from '../rules/status.ts'
import type { KnownMessage } from './messages.ts'
import type { DB, StoredContent } from './types.ts'

/** Remembers an edit and what stood there before; `applied` false for one that comes after a newer one. */
export async function recordEdit(
  tx: Tx<DB>,
  organizationId: string,
  message: KnownMessage,
  edit: { text: string; editedAt: Date; applied: boolean },
): Promise<void> {
  const { text, editedAt, applied } = edit
  await tx
    .insertInto('messageEdits')
    .values({
      organizationId,
      id: randomUUIDv7(),
      messageId: message.id,
      change: 'edited',
      text,
      previousText: applied ? message.text : null,
      previousContent: null,
      applied,
      changedAt: editedAt,
    })
    .execute()
  if (!applied) return
  await tx
    .updateTable('messages')
    .set({ text, editedAt })
    .where('organizationId', '=', organizationId)
    .where('id', '=', message.id)
    .execute()
}

function emptied(type: MessageType): StoredContent {
  return { type, attachments: [], location: null, contacts: [], choice: null, order: null }
}

/** Takes a deleted message out of the thread; what it said stays in its history, for a dispute, until the customer is erased. */
export async function recordDeletion(tx: Tx<DB>, organizationId: string, message: KnownMessage, deletedAt: Date): Promise<void> {
  await tx
    .insertInto('messageEdits')
    .values({
      organizationId,
      id: randomUUIDv7(),
      messageId: message.id,
      change: 'deleted',
      text: null,
      previousText: message.text,
      previousContent: JSON.stringify(message.content),
      applied: true,
      changedAt: deletedAt,
    })
    .execute()
  await tx
    .updateTable('messages')
    .set({
      text: null,
      content: JSON.stringify(emptied(message.content.type)),
      status: 'deleted',
      statusRank: statusRank('deleted'),
      wantsReply: false,
      deletedAt,
    })
    .where('organizationId', '=', organizationId)
    .where('id', '=', message.id)
    .execute()
}

/**
 * Marks all messages of a chat that was cleared. Only a mark: this is how somebody tidies up the shop's phone, and must not
 * blank the shop's record of what was said.
 */
export async function markChatDeleted(
  tx: Tx<DB>,
  organizationId: string,
  conversationId: string,
  deletedAt: Date,
): Promise<void> {
  await tx
    .updateTable('messages')
    .set({ deletedAt })
    .where('organizationId', '=', organizationId)
    .where('conversationId', '=', conversationId)
    .where('deletedAt', 'is', null)
    .where('orderedAt', '<=', deletedAt)
    .execute()
}

/** Sets or takes away one person's reaction; false when that changes nothing or a newer one of theirs is known. */
export async function setReaction(
  tx: Tx<DB>,
  organizationId: string,
  messageId: string,
  reaction: { reactorId: string; fromUs: boolean; emoji: string | null; reactedAt: Date },
): Promise<boolean> {
  const { rows } = await sql<{ changed: boolean }>`
    with before as (
      select emoji from message_reactions
      where organization_id = ${organizationId} and message_id = ${messageId} and reactor_id = ${reaction.reactorId}
    )
    insert into message_reactions (organization_id, message_id, reactor_id, from_us, emoji, reacted_at)
    values (${organizationId}, ${messageId}, ${reaction.reactorId}, ${reaction.fromUs}, ${reaction.emoji}, ${reaction.reactedAt})
    on conflict (organization_id, message_id, reactor_id) do update set emoji = excluded.emoji, reacted_at = excluded.reacted_at
      where message_reactions.reacted_at <= excluded.reacted_at
    returning emoji is distinct from (select emoji from before) as changed`.execute(tx)
  return rows[0]?.changed ?? false
}

/** The reactions that stand on these messages. */
export async function listReactions(tx: Tx<DB>, organizationId: string, messageIds: readonly string[]) {
  if (messageIds.length === 0) return []
  return await tx
    .selectFrom('messageReactions')
    .select(['messageId', 'reactorId', 'fromUs', 'emoji', 'reactedAt'])
    .where('organizationId', '=', organizationId)
    .where(sql<boolean>`message_id = any(${messageIds}::uuid[])`)
    .where('emoji', 'is not', null)
    .orderBy('reactedAt')
    .limit(1_000)
    .execute()
}

/** What a message said before, oldest first. */
export async function listEdits(tx: Tx<DB>, organizationId: string, messageId: string) {
  return await tx
    .selectFrom('messageEdits')
    .select(['change', 'text', 'previousText', 'applied', 'changedAt'])
    .where('organizationId', '=', organizationId)
    .where('messageId', '=', messageId)
    .orderBy('changedAt')
    .orderBy('id')
    .limit(100)
    .execute()
}
