import { Attachment, Id, WrittenText } from '@parley/contracts'
import { AppError, type Tx } from '@parley/runtime'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { route } from '../app.ts'
import { type LockedConversation, lockConversation } from '../db/conversations.ts'
import { findMessage, findMessageOfClient, type MessageRow } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { addOutgoing } from '../steps/add-outgoing.ts'
import { noteTakenOver } from '../steps/hand-over.ts'
import { found, IdParams, Message, messageOf } from './shapes.ts'

const otherMessage = 'clientMessageId was used for a message with another text, attachment or reply target.'

const Answer = z
  .strictObject({
    text: WrittenText(32_768).nullable().optional(),
    attachment: Attachment.nullable().optional(),
    replyToMessageId: Id.optional(),
    /** Names the message once: sent again with the same name, it is the same message. */
    clientMessageId: z.string().min(1).max(128).optional(),
  })
  .refine((body) => body.text != null || body.attachment != null, 'A message needs a text or an attachment.')

export const postMessage = route({
  method: 'POST',
  path: '/v1/conversations/:id/messages',
  summary: 'Answer as a person: the conversation is theirs from here on.',
  scope: 'conversations:write',
  refuses: {
    not_found: 'No conversation with that id.',
    conflict: [otherMessage, 'The customer asked for no more messages on this channel.'],
    gone: 'The customer of this conversation had their data erased.',
    unprocessable: 'A broadcast list cannot be answered.',
  },
  params: IdParams,
  body: Answer,
  reply: Message,
  status: 201,
  async run({ params, body, caller, app, commit }) {
    const { organizationId, actor } = caller
    const row = await commit(async (tx, { emit, audit }) => {
      const now = app.now()
      const conversation = found(await lockConversation(tx, organizationId, params.id), 'conversation')
      const { text = null, attachment = null, clientMessageId = null } = body
      if (clientMessageId !== null) {
        const known = await findMessageOfClient(tx, organizationId, conversation.id, clientMessageId)
        if (known) return sameMessage(known, { text, attachment, replyToMessageId: body.replyToMessageId ?? null })
      }
      const chatId = chatToWriteIn(conversation)
      const replyTo =
        body.replyToMessageId === undefined ? null : await quoted(tx, organizationId, conversation.id, body.replyToMessageId)
      const answer = { sender: 'human', text, attachment, author: actor.id, clientMessageId, replyTo, chatId, now } as const
      const id = await addOutgoing({ tx, emit }, organizationId, conversation, answer)
      // The conversation is held: nobody else can have added it since the look-up.
      if (id === undefined) throw new Error('A message was added to a conversation that another call holds.')
      // Not the words: they are the customer's to have erased, and this log is for ever.
      const said = { conversationId: conversation.id, characters: text?.length ?? 0, attachment: attachment !== null }
      audit({ resourceType: 'message', resourceId: id, before: null, after: said })
      if (conversation.chatKind === 'person' && conversation.status !== 'with_person') {
        await noteTakenOver({ tx, emit }, organizationId, conversation, now)
        const { status } = conversation
        audit({ resourceType: 'conversation', resourceId: conversation.id, before: { status }, after: { status: 'with_person' } })
      }
      return found(await findMessage(tx, organizationId, id), 'message')
    })
    return messageOf(row, [])
  },
})

/** The same name must mean the same message; anything else is a mistake of the caller that would lose words. */
function sameMessage(
  known: MessageRow,
  sent: { text: string | null; attachment: Attachment | null; replyToMessageId: string | null },
): MessageRow {
  const asSent = { text: known.text, attachment: known.content.attachments[0] ?? null, replyToMessageId: known.replyToMessageId }
  if (isDeepStrictEqual(asSent, sent)) return known
  throw new AppError('conflict', otherMessage)
}

/** Where a person may write. Throws when the customer was erased or said STOP, or the chat is a broadcast. */
function chatToWriteIn({ chatId, chatKind, consent }: LockedConversation): string {
  if (chatId === null) throw new AppError('gone', 'The customer of this conversation had their data erased.')
  if (chatKind === 'broadcast') throw new AppError('unprocessable', 'A broadcast list cannot be answered.')
  if (consent === 'withdrawn') throw new AppError('conflict', 'The customer asked for no more messages on this channel.')
  return chatId
}

async function quoted(
  tx: Tx<DB>,
  organizationId: string,
  conversationId: string,
  messageId: string,
): Promise<{ messageId: string; providerMessageId: string | null }> {
  const row = await findMessage(tx, organizationId, messageId)
  if (row?.conversationId !== conversationId) {
    throw new AppError('invalid', 'replyToMessageId: no such message in this conversation.')
  }
  return { messageId, providerMessageId: row.providerMessageId }
}
