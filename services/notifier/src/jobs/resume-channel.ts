import { z } from 'zod'
import { job } from '../app.ts'
import { pendingChats } from '../db/outgoing-messages.ts'
import { sendMessage } from './send-message.ts'

const chatsAtOnce = 500

/** Asks for every chat of a channel that has something to send, in chunks, because a long commit holds everybody up. */
export const resumeChannel = job(
  'resume-channel',
  z.object({ accountId: z.string(), after: z.string() }),
  { policy: 'standard' },
  async ({ data: { accountId, after }, organizationId, commit }) => {
    await commit(async (tx, { later }) => {
      const chats = await pendingChats(tx, organizationId, accountId, after, chatsAtOnce)
      for (const chat of chats) later(sendMessage, { chat, goOn: true }, { key: chat })
      const last = chats.at(-1)
      if (chats.length === chatsAtOnce && last !== undefined) later(resumeChannel, { accountId, after: last })
    })
  },
)
