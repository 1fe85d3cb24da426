import { messageAdded } from '@parley/contracts'
import { on } from '../app.ts'
import { noteMessage } from '../db/conversations.ts'
import { takeTurn } from '../jobs/take-turn.ts'
import { messageText, quoteText } from '../rules/message-text.ts'

const roles = { user: 'customer', agent: 'agent', human: 'person', system: 'system' } as const

/** Every message is noted, whoever wrote it, so that a turn knows the conversation; a customer's asks for a turn. */
export const noteMessageAdded = on('note-message', messageAdded, async ({ event, app, tx, later }) => {
  const { data, organizationId } = event
  const now = app.now()
  const wantsReply = data.wantsReply && data.sender === 'user'
  await noteMessage(tx, organizationId, {
    conversationId: data.conversationId,
    version: data.conversationVersion,
    messageId: data.messageId,
    customerId: data.customerId,
    channel: data.channel,
    accountId: data.accountId,
    chatId: data.chatId,
    role: roles[data.sender],
    text: messageText(data.content),
    quotedMessageId: data.quotes?.messageId ?? null,
    quote: data.quotes ? quoteText(data.quotes) : null,
    wantsReply,
    addedAt: data.addedAt,
    seenAt: now,
  })
  if (!wantsReply) return
  const startAfter = new Date(now.getTime() + app.config.AGENTS_QUIET_MS)
  later(takeTurn, { conversationId: data.conversationId }, { key: data.conversationId, startAfter })
})
