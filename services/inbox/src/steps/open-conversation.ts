import { randomUUIDv7 } from 'node:crypto'
import type { ChatKind } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import {
  type Chat,
  insertConversationOfIdentity,
  insertConversationWithCustomer,
  type LockedConversation,
  lockConversationOfChat,
  type NewConversation,
} from '../db/conversations.ts'
import type { DB } from '../db/types.ts'

export interface FirstMessage extends Chat {
  chatKind: ChatKind
  chatName: string | null
  customerName: string | null
  phone: string | null
  /** The provider through which it came. */
  source: string
  erasedBefore: Date | null
  startedAt: Date
}

export interface OpenedConversation {
  conversation: LockedConversation
  /** False when somebody else opened it in the same moment. */
  started: boolean
}

/** The conversation of a chat that had none, with its customer. The identity's unique key decides, never a look before the insert. */
export async function openConversation(tx: Tx<DB>, organizationId: string, first: FirstMessage): Promise<OpenedConversation> {
  const { channel, accountId, chatId, chatKind, chatName, customerName, phone, source, erasedBefore, startedAt } = first
  const ids = { id: randomUUIDv7(), customerId: randomUUIDv7(), identityId: randomUUIDv7() }
  const start = { ...ids, channel, accountId, chatId, chatKind, chatName, customerName, phone, source, erasedBefore, startedAt }
  if (await insertConversationWithCustomer(tx, organizationId, start)) return { conversation: fresh(start), started: true }
  const found = await lockConversationOfChat(tx, organizationId, first)
  if (found) return { conversation: found, started: false }
  // A customer whom we know by this identity, with no conversation here.
  const started = await insertConversationOfIdentity(tx, organizationId, start)
  const conversation = await lockConversationOfChat(tx, organizationId, first)
  if (!conversation) throw new Error('A conversation that was just opened cannot be found.')
  return { conversation, started }
}

function fresh({
  id,
  customerId,
  customerName,
  channel,
  accountId,
  chatId,
  chatKind,
  erasedBefore,
}: NewConversation): LockedConversation {
  return {
    id,
    customerId,
    customerName,
    channel,
    accountId,
    chatId,
    chatKind,
    status: 'open',
    assignee: null,
    version: 0,
    lastHumanVersion: 0,
    lastMessageAt: null,
    agentReplyTimes: [],
    handedOverTurnId: null,
    erasedBefore,
    erasedAt: null,
    consent: null,
  }
}
