import { customerErased } from '@parley/contracts'
import { eraseAfterMs } from '@parley/runtime'
import { on } from '../app.ts'
import { eraseBodiesOfChats } from '../db/receipts.ts'
import { eraseEvents } from '../jobs/erase-events.ts'
import { eraseUnsorted } from '../jobs/erase-unsorted.ts'

/** Empties the receipts that hold something of an erased customer's chats; that something came remains known. */
export const eraseCustomer = on('erase-customer', customerErased, async ({ event, app, tx, later }) => {
  const { channel, accountId, chatIds } = event.data
  if (chatIds.length === 0) return
  const chatKeys = chatIds.map((chatId) => `${channel}:${accountId}:${chatId}`)
  await eraseBodiesOfChats(tx, event.organizationId, chatKeys)
  later(eraseEvents, { keys: chatKeys }, { startAfter: new Date(app.now().getTime() + eraseAfterMs) })
  // What was never understood is sorted under no chat, so it has to be searched.
  later(eraseUnsorted, { chatIds, after: null })
})
