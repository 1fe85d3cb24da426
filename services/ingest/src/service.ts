import {
  callEnded,
  callRecorded,
  callStarted,
  callTranscribed,
  channelStatusChanged,
  messageDeleted,
  messageEdited,
  messageReacted,
  messageReceived,
  messageStatusChanged,
  privacyRequested,
  shopCheckoutChanged,
  shopCustomerChanged,
  shopOrderChanged,
  shopProductChanged,
  shopRefundChanged,
  shopReturnChanged,
  shopUninstalled,
  webhookUnrecognised,
} from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { IngestConfig, openApp } from './app.ts'
import { webhookDoor } from './door/plugin.ts'
import { eraseCustomer } from './handlers/erase-customer.ts'
import { openSource } from './handlers/open-source.ts'
import { eraseEvents } from './jobs/erase-events.ts'
import { eraseUnsorted } from './jobs/erase-unsorted.ts'
import { forgetReceipts } from './jobs/forget-receipts.ts'
import { sourcesAndReceipts } from './migrations/001-sources-and-receipts.ts'
import { sourcesOfConnections } from './migrations/002-sources-of-connections.ts'
import { receiptOwners } from './migrations/003-receipt-owners.ts'
import { toldStates } from './migrations/004-told-states.ts'
import { receiptsOfAProvider } from './migrations/005-receipts-of-a-provider.ts'
import { getReceipt, getReceipts, postReplay } from './routes/receipts.ts'
import { createSource, deleteSource, getSources, rotateSource } from './routes/webhook-sources.ts'

export const ingest = defineService({
  name: 'ingest',
  summary: 'The door: takes webhooks, verifies and stores them, answers fast, and states what they say.',
  config: IngestConfig,
  routes: [getReceipts, getReceipt, postReplay, createSource, getSources, rotateSource, deleteSource],
  handlers: [eraseCustomer, openSource],
  jobs: [eraseUnsorted, eraseEvents, forgetReceipts],
  migrations: [sourcesAndReceipts, sourcesOfConnections, receiptOwners, toldStates, receiptsOfAProvider],
  states: [
    messageReceived,
    messageEdited,
    messageDeleted,
    messageReacted,
    messageStatusChanged,
    channelStatusChanged,
    callStarted,
    callEnded,
    callTranscribed,
    callRecorded,
    shopOrderChanged,
    shopProductChanged,
    shopCheckoutChanged,
    shopCustomerChanged,
    shopRefundChanged,
    shopReturnChanged,
    shopUninstalled,
    privacyRequested,
    webhookUnrecognised,
  ],
  open: openApp,
  close: (app) => app.deliveries.idle(),
  pluginPaths: ['/webhooks', '/functions/whatsapp-webhook', '/functions/v1/handle-call-webhook'],
  plugin: webhookDoor,
})
