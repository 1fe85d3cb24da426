import { Channel, conversationChanged, ConversationStatus, Id, WrittenText } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { changeConversation, findConversation, listConversations, lockConversation } from '../db/conversations.ts'
import { emitHandedOver } from '../steps/hand-over.ts'
import { Conversation, conversationOf, found, IdParams, listOf, pageOf, PageQuery } from './shapes.ts'

export const getConversations = route({
  method: 'GET',
  path: '/v1/conversations',
  also: ['GET /rest/v1/conversations'],
  summary: 'List conversations, the latest spoken in first.',
  scope: 'conversations:read',
  personalData: 'conversation',
  query: z.object({
    ...PageQuery,
    status: ConversationStatus.optional(),
    channel: Channel.optional(),
    customerId: Id.optional(),
    /** The same as customerId, by its older name. */
    user_id: Id.optional(),
  }),
  reply: listOf(Conversation),
  async run({ query, caller, read }) {
    const { status, channel, limit, page } = query
    const filter = { status, channel, customerId: query.customerId ?? query.user_id }
    const { rows, total } = await read((tx) => listConversations(tx, caller.organizationId, filter, pageOf(query)))
    return { items: rows.map(conversationOf), total, page, limit }
  },
})

export const getConversation = route({
  method: 'GET',
  path: '/v1/conversations/:id',
  summary: 'Read one conversation.',
  scope: 'conversations:read',
  personalData: 'conversation',
  refuses: { not_found: 'No conversation with that id.' },
  params: IdParams,
  reply: Conversation,
  async run({ params, caller, read }) {
    return conversationOf(found(await read((tx) => findConversation(tx, caller.organizationId, params.id)), 'conversation'))
  },
})

export const patchConversation = route({
  method: 'PATCH',
  path: '/v1/conversations/:id',
  summary: 'Close or reopen a conversation, take it over, give it back to the agent, assign it or mark it read.',
  scope: 'conversations:write',
  refuses: { not_found: 'No conversation with that id.', gone: 'The customer of this conversation had their data erased.' },
  params: IdParams,
  body: z
    .strictObject({
      /** `with_person` takes it over: the agent keeps silent. `open` gives it back. */
      status: ConversationStatus.optional(),
      assignee: WrittenText(200).nullable().optional(),
      note: WrittenText(2_000).nullable().optional(),
      markRead: z.boolean().optional(),
    })
    .refine((body) => Object.keys(body).length > 0, 'Name at least one field to change.'),
  reply: Conversation,
  async run({ params, body, caller, app, commit }) {
    const { organizationId, actor } = caller
    const row = await commit(async (tx, { emit, audit }) => {
      const at = app.now()
      const before = found(await lockConversation(tx, organizationId, params.id), 'conversation')
      if (before.erasedAt) throw new AppError('gone', 'The customer of this conversation had their data erased.')
      const { status = before.status, assignee = before.assignee, note, markRead = false } = body
      const takenOver = status === 'with_person' && before.status !== 'with_person'
      const change = { status, assignee, ...(note === undefined ? {} : { note }), markRead, takenOver, at }
      await changeConversation(tx, organizationId, before.id, change)
      audit({
        resourceType: 'conversation',
        resourceId: before.id,
        before: { status: before.status, assignee: before.assignee },
        // A note may be about the customer: that it was written is enough.
        after: { status, assignee, ...(note === undefined ? {} : { noted: note !== null }), ...(markRead ? { markRead } : {}) },
      })
      if (status !== before.status || assignee !== before.assignee) {
        const { id: conversationId, customerId, status: previousStatus } = before
        const changedAt = at.toISOString()
        emit(conversationChanged, {
          conversationId,
          customerId,
          previousStatus,
          status,
          assignee,
          conversationVersion: before.version,
          changedBy: actor.id,
          changedAt,
        })
      }
      if (takenOver) emitHandedOver(emit, before, { reason: 'person_took_over', note: null, at })
      return found(await findConversation(tx, organizationId, before.id), 'conversation')
    })
    return conversationOf(row)
  },
})
