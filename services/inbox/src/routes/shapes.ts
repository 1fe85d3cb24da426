import {
  Channel,
  ChatKind,
  ConversationStatus,
  Id,
  MessageContent,
  MessageStatus,
  SenderKind,
  StatusError,
  Timestamp,
} from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import type { ConversationRow } from '../db/conversations.ts'
import { type MessageRow, restored } from '../db/messages.ts'

/** Which page of a list: `limit` rows, the first page is 1. */
export const PageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(25),
  page: z.coerce.number().int().min(1).max(10_000).default(1),
  order: z.enum(['asc', 'desc']).default('desc'),
}

export function pageOf({ limit, page, order }: { limit: number; page: number; order: 'asc' | 'desc' }) {
  return { limit, offset: (page - 1) * limit, order }
}

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), total: z.int().min(0), page: z.int().min(1), limit: z.int().min(1) })
}

export const IdParams = z.object({ id: Id })

/** The row, or the same words whether it never existed or belongs to another organization. */
export function found<Row>(row: Row | undefined, noun: string): Row {
  if (row === undefined) throw new AppError('not_found', `No ${noun} with that id.`)
  return row
}

export const iso = (date: Date | null) => date?.toISOString() ?? null

export const Conversation = z.object({
  id: Id,
  customerId: Id,
  channel: Channel,
  accountId: z.string(),
  /** Null once the customer was erased. */
  chatId: z.string().nullable(),
  chatKind: ChatKind,
  chatName: z.string().nullable(),
  source: z.string(),
  status: ConversationStatus,
  version: z.int(),
  lastHumanVersion: z.int(),
  lastMessageAt: Timestamp.nullable(),
  lastCustomerMessageAt: Timestamp.nullable(),
  unreadCount: z.int(),
  messageCount: z.int(),
  agentMessageCount: z.int(),
  humanMessageCount: z.int(),
  assignee: z.string().nullable(),
  note: z.string().nullable(),
  language: z.string().nullable(),
  intent: z.string().nullable(),
  sentiment: z.string().nullable(),
  handedOverAt: Timestamp.nullable(),
  handedOverReason: z.string().nullable(),
  handedOverNote: z.string().nullable(),
  startedAt: Timestamp,
  closedAt: Timestamp.nullable(),
  erasedAt: Timestamp.nullable(),
})

export function conversationOf(row: ConversationRow): z.infer<typeof Conversation> {
  return {
    ...row,
    lastMessageAt: iso(row.lastMessageAt),
    lastCustomerMessageAt: iso(row.lastCustomerMessageAt),
    handedOverAt: iso(row.handedOverAt),
    startedAt: row.startedAt.toISOString(),
    closedAt: iso(row.closedAt),
    erasedAt: iso(row.erasedAt),
  }
}

export const Message = z.object({
  id: Id,
  conversationId: Id,
  /** Its place by arrival; null for an answer that was dropped. */
  version: z.int().nullable(),
  sender: SenderKind,
  senderName: z.string().nullable(),
  origin: z.string().nullable(),
  /** The key that wrote it, for a person of the shop. */
  author: z.string().nullable(),
  content: MessageContent,
  quickReplies: z.array(z.object({ id: z.string(), title: z.string() })),
  status: MessageStatus,
  statusErrors: z.array(StatusError),
  /** Why it failed or was dropped. */
  failureReason: z.string().nullable(),
  failureDetail: z.string().nullable(),
  providerMessageId: z.string().nullable(),
  clientMessageId: z.string().nullable(),
  turnId: Id.nullable(),
  replyToMessageId: Id.nullable(),
  basedOnVersion: z.int().nullable(),
  intent: z.string().nullable(),
  sentiment: z.string().nullable(),
  confidence: z.number().nullable(),
  model: z.string().nullable(),
  /** True when a simulated model wrote it. */
  simulated: z.boolean().nullable(),
  reactions: z.array(z.object({ reactorId: z.string(), fromUs: z.boolean(), emoji: z.string(), reactedAt: Timestamp })),
  sentAt: Timestamp.nullable(),
  addedAt: Timestamp,
  editedAt: Timestamp.nullable(),
  deletedAt: Timestamp.nullable(),
  erasedAt: Timestamp.nullable(),
})

interface ReactionRow {
  messageId: string
  reactorId: string
  fromUs: boolean
  emoji: string | null
  reactedAt: Date
}

/** A message as callers see it; `reactions` may be those of a whole page. */
export function messageOf({ text, content, ...row }: MessageRow, reactions: readonly ReactionRow[]): z.infer<typeof Message> {
  return {
    ...row,
    content: restored({ text, content }),
    reactions: reactions.flatMap(({ messageId, emoji, reactedAt, ...by }) =>
      messageId === row.id && emoji !== null ? [{ ...by, emoji, reactedAt: reactedAt.toISOString() }] : [],
    ),
    sentAt: iso(row.sentAt),
    addedAt: row.addedAt.toISOString(),
    editedAt: iso(row.editedAt),
    deletedAt: iso(row.deletedAt),
    erasedAt: iso(row.erasedAt),
  }
}
