import { Attachment, Channel, Id, SenderKind } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findOutgoing, listOutgoing, type Outgoing, requeueFailed } from '../db/outgoing-messages.ts'
import { sendMessage } from '../jobs/send-message.ts'

const State = z.enum(['queued', 'sending', 'sent', 'failed', 'dropped'])

const OutgoingView = z.object({
  id: Id,
  conversationId: Id,
  channel: Channel,
  accountId: z.string(),
  /** Null once the customer had their data erased, as are the words. */
  chatId: z.string().nullable(),
  text: z.string().nullable(),
  attachment: Attachment.nullable(),
  quickReplies: z.array(z.object({ id: z.string(), title: z.string() })),
  sender: SenderKind,
  basedOnVersion: z.int().nullable(),
  state: State,
  attempts: z.int(),
  providerMessageId: z.string().nullable(),
  /** True when the provider's answer was lost and a look-up found the message. */
  foundByLookup: z.boolean().nullable(),
  failure: z.string().nullable(),
  lastError: z.string().nullable(),
  requestedAt: z.string(),
  sentAt: z.string().nullable(),
})

const OneMessage = z.strictObject({ id: Id })

export const getOutgoingMessages = route({
  method: 'GET',
  path: '/v1/outgoing-messages',
  summary: 'Messages on their way out, latest first.',
  scope: 'messages:read',
  personalData: 'outgoing_message',
  query: z.strictObject({ ...pageQuery, conversationId: Id.optional(), state: State.optional() }),
  reply: pageOf(OutgoingView),
  async run({ query: { page, limit, conversationId, state }, caller, read }) {
    const filter = { conversationId, state, limit, offset: (page - 1) * limit }
    const { items, total } = await read((tx) => listOutgoing(tx, caller.organizationId, filter))
    return { items: items.map(view), page, limit, total }
  },
})

export const getOutgoingMessage = route({
  method: 'GET',
  path: '/v1/outgoing-messages/:id',
  summary: 'One message on its way out.',
  scope: 'messages:read',
  personalData: 'outgoing_message',
  refuses: { not_found: 'No outgoing message with that id.' },
  params: OneMessage,
  reply: OutgoingView,
  async run({ params, caller, read }) {
    const message = await read((tx) => findOutgoing(tx, caller.organizationId, params.id))
    if (message === undefined) throw new AppError('not_found', 'No outgoing message with that id.')
    return view(message)
  },
})

export const retryOutgoingMessage = route({
  method: 'POST',
  path: '/v1/outgoing-messages/:id/retry',
  summary:
    'Send a failed message again. When its outcome is unknown the customer may get it twice: that is the decision made here.',
  scope: 'messages:write',
  refuses: {
    not_found: 'No outgoing message with that id.',
    conflict: "Only a failed message can be sent again; this one is 'sent'.",
  },
  params: OneMessage,
  reply: OutgoingView,
  status: 202,
  async run({ params, caller, commit }) {
    return commit(async (tx, { later, audit }) => {
      const requeued = await requeueFailed(tx, caller.organizationId, params.id)
      const message = await findOutgoing(tx, caller.organizationId, params.id)
      if (message === undefined) throw new AppError('not_found', 'No outgoing message with that id.')
      if (!requeued || message.chatDigest === null) {
        throw new AppError('conflict', `Only a failed message can be sent again; this one is '${message.state}'.`)
      }
      later(sendMessage, { chat: message.chatDigest, goOn: false }, { key: message.chatDigest })
      const after = { state: message.state, conversationId: message.conversationId }
      audit({ resourceType: 'outgoing_message', resourceId: message.id, before: { state: 'failed' }, after })
      return view(message)
    })
  },
})

function view(message: Outgoing): z.infer<typeof OutgoingView> {
  return {
    id: message.id,
    conversationId: message.conversationId,
    channel: Channel.parse(message.channel),
    accountId: message.accountId,
    chatId: message.chatId,
    text: message.text,
    attachment: message.attachment,
    quickReplies: message.quickReplies,
    sender: message.sender,
    basedOnVersion: message.basedOnVersion,
    state: message.state,
    attempts: message.attempts,
    providerMessageId: message.providerMessageId,
    foundByLookup: message.foundByLookup,
    failure: message.failure,
    lastError: message.lastError,
    requestedAt: message.requestedAt.toISOString(),
    sentAt: message.sentAt?.toISOString() ?? null,
  }
}
