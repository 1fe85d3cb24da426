import { randomUUIDv7 } from 'node:crypto'
import { customerErased } from '@parley/contracts'
import { type Emit, eraseAfterMs, type Later, type Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import type { LockedConversation } from '../db/conversations.ts'
import { anonymiseCustomer, deleteIdentities, detachConversations, insertErasure, suppress } from '../db/erasures.ts'
import type { DB } from '../db/types.ts'
import { eraseEvents } from '../jobs/erase-events.ts'
import { eraseMessages } from '../jobs/erase-messages.ts'

/**
 * The erasure itself names the chats to those who must forget them. A service that was down has until then to hear of it,
 * and all is gone within the day that reliability.md D39 allows.
 */
const forgetErasureAfterMs = 23 * 3_600_000

/**
 * Erases a customer: name, identities and chats at once, the messages' words in a job, because there may be many. Says so
 * once, however often it is asked.
 */
export async function eraseCustomer(
  { app, tx, emit, later }: { app: App; tx: Tx<DB>; emit: Emit; later: Later },
  organizationId: string,
  { customerId, channel, accountId }: Pick<LockedConversation, 'customerId' | 'channel' | 'accountId'>,
  { requestedAt, keepMessageId, now }: { requestedAt: Date; keepMessageId: string; now: Date },
): Promise<void> {
  if (!(await anonymiseCustomer(tx, organizationId, customerId, now))) return
  const identities = await deleteIdentities(tx, organizationId, customerId)
  const detached = await detachConversations(tx, organizationId, customerId, now)
  // Whatever we had read from them is gone, even if its time stamp lies after the request's: a replay must not bring it back.
  const lastRead = detached.map((had) => had.lastCustomerMessageAt?.getTime() ?? 0)
  const erasedBefore = new Date(Math.max(requestedAt.getTime(), ...lastRead))
  const hashes = identities.map((identity) => app.hashIdentity({ organizationId, ...identity }))
  await suppress(tx, organizationId, hashes, erasedBefore)
  const erasureId = randomUUIDv7()
  const conversationIds = detached.map(({ id }) => id)
  await insertErasure(tx, organizationId, { id: erasureId, customerId, channel, conversationIds, requestedAt, erasedAt: now })
  later(eraseMessages, { erasureId, customerId, keepMessageId }, { key: customerId })
  later(eraseEvents, { keys: conversationIds }, { startAfter: new Date(now.getTime() + eraseAfterMs) })
  later(eraseEvents, { keys: [customerId] }, { startAfter: new Date(now.getTime() + forgetErasureAfterMs) })
  const chatIds = detached.map(({ chatId }) => chatId)
  emit(customerErased, { customerId, conversationIds, channel, accountId, chatIds, erasedAt: now.toISOString() })
}
