import { connectionReported, messageFailed, messageSent } from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { NotifierConfig, openApp } from './app.ts'
import { adoptConnection } from './handlers/adopt-connection.ts'
import { eraseCustomer } from './handlers/erase-customer.ts'
import { guardConversation } from './handlers/guard-conversation.ts'
import { noteChannelStatus } from './handlers/note-channel-status.ts'
import { noteConsent } from './handlers/note-consent.ts'
import { noteTakeOver } from './handlers/note-take-over.ts'
import { storeOutgoingMessage } from './handlers/store-outgoing-message.ts'
import { eraseEvents } from './jobs/erase-events.ts'
import { resumeChannel } from './jobs/resume-channel.ts'
import { sendMessage } from './jobs/send-message.ts'
import { channelsAndOutgoingMessages } from './migrations/001-channels-and-outgoing-messages.ts'
import { correlation } from './migrations/002-correlation.ts'
import { channelsOfConnections } from './migrations/003-channels-of-connections.ts'
import { whatEndsTheQueue } from './migrations/004-what-ends-the-queue.ts'
import { newestByIndex } from './migrations/005-newest-by-index.ts'
import { getChannels, putChannel } from './routes/channels.ts'
import { getOutgoingMessage, getOutgoingMessages, retryOutgoingMessage } from './routes/outgoing-messages.ts'

export const notifier = defineService({
  name: 'notifier',
  summary: 'Tells people: messages out through their channels, once, in order, and never after a person took over.',
  config: NotifierConfig,
  routes: [putChannel, getChannels, getOutgoingMessages, getOutgoingMessage, retryOutgoingMessage],
  handlers: [
    adoptConnection,
    storeOutgoingMessage,
    guardConversation,
    noteTakeOver,
    noteConsent,
    noteChannelStatus,
    eraseCustomer,
  ],
  jobs: [sendMessage, resumeChannel, eraseEvents],
  migrations: [channelsAndOutgoingMessages, correlation, channelsOfConnections, whatEndsTheQueue, newestByIndex],
  states: [messageSent, messageFailed, connectionReported],
  open: openApp,
  close: (app) => app.clients.close(),
})
