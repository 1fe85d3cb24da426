import type { Event } from '@parley/contracts'
import type { Later, Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import type { Chat } from '../db/conversations.ts'
import { keepEarlyArrival, lockProviderMessageName } from '../db/early-arrivals.ts'
import { isErasedChat } from '../db/erasures.ts'
import { noteEvent } from '../db/event-notes.ts'
import type { DB, EarlyArrivals } from '../db/types.ts'
import { settleEarlyArrivals } from '../jobs/settle-early-arrivals.ts'

/** Arrivals that crossed with their message are looked at again after this. */
const settleAfterMs = 60_000

/**
 * Keeps a report about a message that is not known, until it is. `known`: it became known just now, apply the report.
 * `erased`: it is about somebody who was erased; that is noted and the report forgotten.
 */
export async function keepForLater(
  { event, app, tx, later }: { event: Event<Chat>; app: App; tx: Tx<DB>; later: Later },
  { kind, providerMessageId, occurredAt }: { kind: EarlyArrivals['kind']; providerMessageId: string; occurredAt: string },
): Promise<'kept' | 'known' | 'erased'> {
  const { organizationId, data } = event
  const { channel, accountId, chatId } = data
  const now = app.now()
  const hash = app.hashIdentity({ organizationId, channel, accountId, externalId: chatId })
  if (await isErasedChat(tx, organizationId, hash, data)) {
    await noteEvent(tx, event, 'erased', now)
    return 'erased'
  }
  await lockProviderMessageName(tx, organizationId, providerMessageId)
  const arrival = { channel, accountId, chatId, kind, providerMessageId, data, occurredAt: new Date(occurredAt), arrivedAt: now }
  if (!(await keepEarlyArrival(tx, organizationId, arrival))) return 'known'
  later(settleEarlyArrivals, {}, { key: organizationId, startAfter: new Date(now.getTime() + settleAfterMs) })
  return 'kept'
}
