import { messageFailed, messageSendRequested } from '@parley/contracts'
import { on } from '../app.ts'
import { insertOutgoing, markFailed } from '../db/outgoing-messages.ts'
import { sendMessage } from '../jobs/send-message.ts'
import { chatDigest } from '../chat-digest.ts'

export const storeOutgoingMessage = on('store-outgoing-message', messageSendRequested, async ({ event, tx, emit, later }) => {
  const { data, organizationId } = event
  if (!(await insertOutgoing(tx, organizationId, data, event.correlationId))) return
  if (data.channel !== 'whatsapp') {
    const detail = `Nothing here sends to the channel '${data.channel}'.`
    await markFailed(tx, organizationId, data.messageId, { state: 'failed', failure: 'unreachable', lastError: detail })
    // The event's own time: a handler may run twice and must state the same.
    emit(messageFailed, {
      conversationId: data.conversationId,
      messageId: data.messageId,
      reason: 'unreachable',
      detail,
      failedAt: event.time,
    })
    return
  }
  const chat = chatDigest(data.accountId, data.chatId)
  later(sendMessage, { chat, goOn: false }, { key: chat })
})
