import {
  consentChanged,
  conversationChanged,
  conversationHandedOver,
  conversationStarted,
  customerErased,
  messageAdded,
  messageSendRequested,
  messageUpdated,
} from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { Config, open } from './app.ts'
import { applyStatus } from './handlers/apply-status.ts'
import { deleteMessage } from './handlers/delete-message.ts'
import { editMessage } from './handlers/edit-message.ts'
import { markFailed } from './handlers/mark-failed.ts'
import { markSent } from './handlers/mark-sent.ts'
import { noteTurn } from './handlers/note-turn.ts'
import { obeyPrivacyRequest } from './handlers/obey-privacy-request.ts'
import { reactToMessage } from './handlers/react-to-message.ts'
import { receiveMessage } from './handlers/receive-message.ts'
import { releaseReply } from './handlers/release-reply.ts'
import { eraseEvents } from './jobs/erase-events.ts'
import { eraseMessages } from './jobs/erase-messages.ts'
import { settleEarlyArrivals } from './jobs/settle-early-arrivals.ts'
import { customersConversationsAndMessages } from './migrations/001-customers-conversations-and-messages.ts'
import { namesInTheirChat } from './migrations/002-names-in-their-chat.ts'
import { readsByIndex } from './migrations/003-reads-by-index.ts'
import { postMessage } from './routes/answer.ts'
import { getConsents, getConsentsOfCustomer } from './routes/consents.ts'
import { getConversation, getConversations, patchConversation } from './routes/conversations.ts'
import { getCustomer, getCustomers } from './routes/customers.ts'
import { getMessage, getMessages } from './routes/messages.ts'
import { streamPlugin } from './stream/plugin.ts'

/** People and what they said: the one writer of every conversation. */
export const inbox = defineService({
  name: 'inbox',
  summary: 'Customers, their conversations and messages, what they allow, and the erasing of their data.',
  config: Config,
  routes: [
    getConversations,
    getConversation,
    patchConversation,
    getMessages,
    postMessage,
    getMessage,
    getCustomers,
    getCustomer,
    getConsentsOfCustomer,
    getConsents,
  ],
  handlers: [
    receiveMessage,
    editMessage,
    deleteMessage,
    reactToMessage,
    applyStatus,
    releaseReply,
    noteTurn,
    markSent,
    markFailed,
    obeyPrivacyRequest,
  ],
  jobs: [eraseMessages, eraseEvents, settleEarlyArrivals],
  migrations: [customersConversationsAndMessages, namesInTheirChat, readsByIndex],
  states: [
    messageAdded,
    messageUpdated,
    messageSendRequested,
    conversationStarted,
    conversationChanged,
    conversationHandedOver,
    consentChanged,
    customerErased,
  ],
  open,
  close: async (app) => app.streams.close(),
  pluginPaths: ['/v1/stream'],
  plugin: streamPlugin,
})
