import type { Tx } from '@parley/runtime'
import { type Selectable, sql } from 'kysely'
import type { DB, Messages } from './types.ts'

/** How far back a conversation is remembered here. */
export const messagesKept = 60

export type StoredMessage = Pick<Selectable<Messages>, 'version' | 'id' | 'role' | 'text' | 'wantsReply' | 'turnId' | 'seenAt'>

/** The newest messages of a conversation, oldest first. */
export async function listNewestMessages(tx: Tx<DB>, organizationId: string, conversationId: string): Promise<StoredMessage[]> {
  const { rows } = await sql<StoredMessage>`
    select version, id, role, text, wants_reply, turn_id, seen_at from messages
    where organization_id = ${organizationId} and conversation_id = ${conversationId}
    order by version desc limit ${messagesKept}`.execute(tx)
  return rows.reverse()
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
