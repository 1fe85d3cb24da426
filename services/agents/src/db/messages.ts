import type { Tx } from '@parley/runtime'
import { type Selectable, sql } from 'kysely'
import type { DB, Messages } from './types.ts'

/** How far back a conversation is remembered here. */
export const messagesKept = 60

export type StoredMessage = Pick<
  Selectable<Messages>,
  'version' | 'id' | 'role' | 'text' | 'wantsReply' | 'turnId' | 'revision' | 'quote' | 'seenAt'
>

/** The newest messages of a conversation, oldest first. */
export async function listNewestMessages(tx: Tx<DB>, organizationId: string, conversationId: string): Promise<StoredMessage[]> {
  const { rows } = await sql<StoredMessage>`
    select version, id, role, text, wants_reply, turn_id, revision, quote, seen_at from messages
    where organization_id = ${organizationId} and conversation_id = ${conversationId}
    order by version desc limit ${messagesKept}`.execute(tx)
  return rows.reverse()
}

/** What became of a message whose words changed. */
export interface ChangedMessage {
  wantsReply: boolean
  turnId: string | null
}

/** Changes the words of a message; none at all when it was deleted, for good. A quotation of it ends then. Undefined: it is not here, or reads like that already. */
export async function changeWords(
  tx: Tx<DB>,
  organizationId: string,
  message: { conversationId: string; messageId: string; text: string },
): Promise<ChangedMessage | undefined> {
  if (message.text === '') {
    await sql`
      update messages set quote = null, revision = revision + 1
      where organization_id = ${organizationId} and conversation_id = ${message.conversationId}
        and quoted_message_id = ${message.messageId} and quote is not null`.execute(tx)
  }
  const { rows } = await sql<ChangedMessage>`
    update messages set quote = case when ${message.text !== ''}::boolean then quote end, text = ${message.text}::text, revision = revision + 1, wants_reply = wants_reply and ${message.text !== ''}::boolean
    where organization_id = ${organizationId} and conversation_id = ${message.conversationId} and id = ${message.messageId}
      and text not in ('', ${message.text}::text)
    returning wants_reply, turn_id`.execute(tx)
  return rows[0]
}

/** Forgets what no prompt will hold again. */
export async function forgetOldMessages(
  tx: Tx<DB>,
  organizationId: string,
  conversationId: string,
  version: number,
): Promise<void> {
  await tx
    .deleteFrom('messages')
    .where('organizationId', '=', organizationId)
    .where('conversationId', '=', conversationId)
    .where('version', '<=', version - messagesKept)
    .execute()
}
