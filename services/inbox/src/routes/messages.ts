import { MessageStatus, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { findConversation } from '../db/conversations.ts'
import { listEdits, listReactions } from '../db/message-changes.ts'
import { listStatusHistory } from '../db/message-status.ts'
import { findMessage, listMessages } from '../db/messages.ts'
import { found, IdParams, listOf, Message, messageOf, pageOf, PageQuery } from './shapes.ts'

export const getMessages = route({
  method: 'GET',
  path: '/v1/conversations/:id/messages',
  summary: 'Read a conversation’s messages in the order in which they were said.',
  scope: 'conversations:read',
  personalData: 'message',
  refuses: { not_found: 'No conversation with that id.' },
  params: IdParams,
  query: z.object({ ...PageQuery, order: z.enum(['asc', 'desc']).default('asc') }),
  reply: listOf(Message),
  async run({ params, query, caller, read }) {
    const { organizationId } = caller
    return await read(async (tx) => {
      found(await findConversation(tx, organizationId, params.id), 'conversation')
      const { rows, total } = await listMessages(tx, organizationId, params.id, pageOf(query))
      const ids = rows.map(({ id }) => id)
      const reactions = await listReactions(tx, organizationId, ids)
      return { items: rows.map((row) => messageOf(row, reactions)), total, page: query.page, limit: query.limit }
    })
  },
})

const Report = z.object({ status: MessageStatus, applied: z.boolean(), changedAt: Timestamp, recordedAt: Timestamp })

const Edit = z.object({
  change: z.enum(['edited', 'deleted']),
  text: z.string().nullable(),
  previousText: z.string().nullable(),
  /** False for one that came after a newer one. */
  applied: z.boolean(),
  changedAt: Timestamp,
})

export const getMessage = route({
  method: 'GET',
  path: '/v1/messages/:id',
  summary: 'Read one message with its edits and every delivery report.',
  scope: 'conversations:read',
  personalData: 'message',
  refuses: { not_found: 'No message with that id.' },
  params: IdParams,
  reply: Message.extend({ statusHistory: z.array(Report), edits: z.array(Edit) }),
  async run({ params, caller, read }) {
    const { organizationId } = caller
    return await read(async (tx) => {
      const row = found(await findMessage(tx, organizationId, params.id), 'message')
      const reactions = await listReactions(tx, organizationId, [row.id])
      const reports = await listStatusHistory(tx, organizationId, row.id)
      const edits = await listEdits(tx, organizationId, row.id)
      const statusHistory = reports.map(({ status, applied, changedAt, recordedAt }) => ({
        status,
        applied,
        changedAt: changedAt.toISOString(),
        recordedAt: recordedAt.toISOString(),
      }))
      return {
        ...messageOf(row, reactions),
        statusHistory,
        edits: edits.map((edit) => ({ ...edit, changedAt: edit.changedAt.toISOString() })),
      }
    })
  },
})
