import { randomUUIDv7 } from 'node:crypto'
import { conversationStarted, type DataOf, type messageReceived } from '@parley/contracts'
import type { Emit, Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import { type LockedConversation, lockConversationOfChat } from '../db/conversations.ts'
import { findSuppression } from '../db/erasures.ts'
import { nameMessage } from '../db/message-status.ts'
import { findUnnamedMessage, isKnownToProvider } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import { isErased } from '../rules/conversation.ts'
import { addIncoming } from './add-incoming.ts'
import { applyEarlyArrivals, emitStatus } from './apply-changes.ts'
import { openConversation } from './open-conversation.ts'

/** How far the time of an echo may lie from the time when we added the message it repeats. */
const sameMessageWithinMs = 3_600_000

type Tools = { tx: Tx<DB>; emit: Emit; app: App }
type Echo = DataOf<typeof messageReceived>

/**
 * Finds a home for an echo that no sending of ours claimed. First the message of ours with the same words whose outcome
 * stayed unknown: the echo proves that it went out. Else it was written elsewhere: by another tool on the same number
 * (system), or in a way that we do not know (a person).
 */
export async function adoptEcho(tools: Tools, organizationId: string, echo: Echo): Promise<void> {
  const { tx, app } = tools
  if (await isKnownToProvider(tx, organizationId, echo)) return
  const known = await lockConversationOfChat(tx, organizationId, echo)
  if (known && (await nameOurs(tools, organizationId, known, echo))) return
  const conversation = known ?? (await openFor(tools, organizationId, echo))
  if (!conversation || isErased(new Date(echo.sentAt), conversation.erasedBefore)) return
  const sender = echo.origin === 'api' ? 'system' : 'human'
  await addIncoming(tools, organizationId, conversation, { data: echo, sender, wantsReply: false, silent: false, now: app.now() })
}

/** Whether the echo was a message of ours that had no name yet; then it has one now. */
async function nameOurs(
  { tx, emit }: Tools,
  organizationId: string,
  conversation: LockedConversation,
  echo: Echo,
): Promise<boolean> {
  const sentAt = new Date(echo.sentAt)
  const from = new Date(sentAt.getTime() - sameMessageWithinMs)
  const until = new Date(sentAt.getTime() + sameMessageWithinMs)
  const id = await findUnnamedMessage(tx, organizationId, conversation.id, { text: echo.content.text, from, until })
  if (id === undefined) return false
  const { providerMessageId } = echo
  const named = await nameMessage(tx, organizationId, id, { providerMessageId, sentAt, historyId: randomUUIDv7() })
  if (!named) return false
  if (named.applied) emitStatus(emit, named, [], echo.sentAt)
  await applyEarlyArrivals({ tx, emit }, organizationId, named.early)
  return true
}

/** A conversation that another tool began; undefined when its customer was erased after that. */
async function openFor({ tx, emit, app }: Tools, organizationId: string, echo: Echo): Promise<LockedConversation | undefined> {
  const { channel, accountId, chatId, chatKind, chatName, provider, sentAt } = echo
  const hash = app.hashIdentity({ organizationId, channel, accountId, externalId: chatId })
  const erasedBefore = (await findSuppression(tx, organizationId, hash)) ?? null
  const startedAt = new Date(sentAt)
  if (isErased(startedAt, erasedBefore)) return undefined
  const first = {
    channel,
    accountId,
    chatId,
    chatKind,
    chatName,
    customerName: chatName,
    phone: null,
    source: provider,
    erasedBefore,
    startedAt,
  }
  const { conversation, started } = await openConversation(tx, organizationId, first)
  const { id: conversationId, customerId } = conversation
  if (started) emit(conversationStarted, { conversationId, customerId, channel, accountId, chatId, startedAt: sentAt })
  return conversation
}
