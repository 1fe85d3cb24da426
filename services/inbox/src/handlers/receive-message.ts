import { conversationStarted, type DataOf, messageReceived, messageUpdated } from '@parley/contracts'
import type { HandlerContext } from '@parley/runtime'
import { type App, on } from '../app.ts'
import { lockConversationOfChat } from '../db/conversations.ts'
import { renameCustomer } from '../db/customers.ts'
import { findSuppression } from '../db/erasures.ts'
import { noteEvent } from '../db/event-notes.ts'
import { completeContent, isKnownToProvider, lockMessageOfProvider, restored } from '../db/messages.ts'
import type { DB } from '../db/types.ts'
import type { ConsentCommand } from '../rules/consent-command.ts'
import { isErased } from '../rules/conversation.ts'
import { commandOf, isFuller, wantsReply, writerOf } from '../rules/incoming.ts'
import { addIncoming } from '../steps/add-incoming.ts'
import { handOver } from '../steps/hand-over.ts'
import { keepForLater } from '../steps/keep-for-later.ts'
import { obeyCommand } from '../steps/obey-command.ts'
import { type OpenedConversation, openConversation } from '../steps/open-conversation.ts'

type Context = HandlerContext<App, DB, DataOf<typeof messageReceived>>

const senders = { customer: 'user', person: 'human', provider: 'system' } as const

/** What a provider reports becomes a message of its conversation, once; commands about consent are obeyed before anybody else sees them. */
export const receiveMessage = on('receive-message', messageReceived, async (context) => {
  const { event, app, tx, emit } = context
  const { organizationId, data } = event
  const writer = writerOf({ fromUs: data.fromUs, origin: data.origin, type: data.content.type })
  if (writer === 'echo') return await keepEcho(context)

  const now = app.now()
  const sentAt = new Date(data.sentAt)
  const { command, foreign } = commandOf({ ...data, writer, text: data.content.text })
  const place = await findPlace(context, command)
  if (!place) return
  const { conversation, started } = place
  const { id: conversationId, customerId, status, consent } = conversation
  const { channel, accountId, chatId, chatKind, content } = data
  const sender = senders[writer]
  // Others must not store what they are about to be told to erase.
  const silent = command.kind === 'erase'
  if (started && !silent)
    emit(conversationStarted, { conversationId, customerId, channel, accountId, chatId, startedAt: data.sentAt })

  const facts = { sender, chatKind, type: content.type, command, status, consent, sentAt, now }
  const incoming = { data, sender, wantsReply: wantsReply(facts) && !foreign, silent, now }
  const messageId = await addIncoming(context, organizationId, conversation, incoming)
  if (messageId === undefined) return await complete(context)

  const { name } = data.sender
  if (writer === 'customer' && chatKind === 'person' && name !== null && name !== conversation.customerName) {
    await renameCustomer(tx, organizationId, customerId, name, now)
  }
  await obeyCommand(context, organizationId, conversation, command, { messageId, chatId, sentAt, now })
  if (foreign) {
    const note = 'Somebody other than the person of this chat asked to restore consent or to erase their data.'
    await handOver(context, organizationId, conversation, { reason: 'asked_for_person', note, turnId: null, at: now })
  }
})

/** Our own sending comes back as a message. `message.sent` names the one we have; until then the echo waits, and never becomes a second one. */
async function keepEcho(context: Context): Promise<void> {
  const { event, tx } = context
  const { providerMessageId, sentAt } = event.data
  if (await isKnownToProvider(tx, event.organizationId, event.data)) return
  await keepForLater(context, { kind: 'echo', providerMessageId, occurredAt: sentAt })
}

/** The conversation the message belongs to, opened when it is the first; undefined when it speaks for somebody who was erased. */
async function findPlace({ event, app, tx }: Context, command: ConsentCommand): Promise<OpenedConversation | undefined> {
  const { organizationId, data } = event
  const { channel, accountId, chatId, chatKind, chatName, provider } = data
  const startedAt = new Date(data.sentAt)
  const found = await lockConversationOfChat(tx, organizationId, data)
  const suppressed = () =>
    findSuppression(tx, organizationId, app.hashIdentity({ organizationId, channel, accountId, externalId: chatId }))
  const erasedBefore = found ? found.erasedBefore : ((await suppressed()) ?? null)
  if (isErased(startedAt, erasedBefore)) {
    await noteEvent(tx, event, 'erased', app.now())
    return undefined
  }
  if (found) return { conversation: found, started: false }
  if (erasedBefore !== null && command.kind === 'erase') {
    // Asked again, with nothing written since.
    await noteEvent(tx, event, 'nothing_to_erase', app.now())
    return undefined
  }
  const person = chatKind === 'person' && !data.fromUs ? data.sender : { name: chatName, phone: null }
  const customer = { customerName: person.name, phone: person.phone }
  return await openConversation(tx, organizationId, {
    channel,
    accountId,
    chatId,
    chatKind,
    chatName,
    ...customer,
    source: provider,
    erasedBefore,
    startedAt,
  })
}

/** The same message again: Whapi repeats one when its file has an address at last (providers.md §1). */
async function complete({ event, tx, emit }: Context): Promise<void> {
  const { organizationId, data } = event
  const message = await lockMessageOfProvider(tx, organizationId, data)
  if (!message || message.erasedAt || message.deletedAt || !isFuller(restored(message), data.content)) return
  const content = { ...data.content, text: message.text }
  await completeContent(tx, organizationId, message.id, content)
  const { id: messageId, conversationId, status } = message
  emit(messageUpdated, {
    conversationId,
    messageId,
    change: 'completed',
    status,
    errors: [],
    content,
    reaction: null,
    updatedAt: event.time,
  })
}
