import { messageDeleted, messageEdited, messageReacted, messageReceived, unknownChat } from '@parley/contracts'
import { externalId, type Fields, fields, happenedAt, isFields, list, text } from '../webhook/fields.ts'
import { contentHash, dedupeKey, emitted, told, unrecognised, unused } from '../webhook/items.ts'
import type { NormalisedItem } from '../webhook/types.ts'
import { chatFields, chatKindOf, senderOf, type WhapiDelivery } from './webhook-chat.ts'
import { bodyText, contentOf, isCut } from './webhook-content.ts'

export type { WhapiDelivery } from './webhook-chat.ts'

/**
 * A message of `messages.post`, or of `messages.put`, which brings the same id again when something was added to it (a media
 * link, say): then the content is a state, and whoever stores messages by provider id sees an update.
 */
export function newMessage(delivery: WhapiDelivery, item: Fields): NormalisedItem {
  const id = externalId(item.id)
  const type = text(item.type, 64)
  if (id === null) return unrecognised(delivery, `${delivery.topic}:${contentHash(item)}`, 'A message without an id.')
  const chatId = externalId(item.chat_id)
  // Whoever writes chooses their messages' ids: the same id in another chat is another message.
  const named = [delivery.topic, chatId ?? unknownChat, id]
  const isUpdate = delivery.topic === 'messages.put'
  const key = isUpdate ? dedupeKey(...named, contentHash(item), delivery.receiptId) : dedupeKey(...named)
  if (chatId === null || type === null) return unrecognised(delivery, key, 'A message without a chat or a type.')
  if (type === 'action') return action(delivery, id, chatId, item)
  if (type === 'poll_update') return unused(key, 'Counts of a poll are not used.')
  const message = received(delivery, key, id, chatId, type, item)
  return isUpdate ? told(message, named, item) : message
}

function received(delivery: WhapiDelivery, key: string, id: string, chatId: string, type: string, item: Fields): NormalisedItem {
  const chat = chatFields(delivery, chatId)
  if (chat === null) return unrecognised(delivery, key, 'A chat id that no chat can have.')
  const fromUs = item.from_me === true
  const { id: senderId, phone } = senderOf(externalId(item.from), fromUs ? delivery.accountId : chatId)
  const content = contentOf(type, item)
  const happened = happenedAt(item.timestamp, delivery.receivedAt)
  const data = {
    ...chat,
    chatKind: chatKindOf(chatId),
    chatName: text(item.chat_name, 512),
    providerMessageId: id,
    fromUs,
    origin: text(item.source, 64),
    sender: { id: senderId, phone, name: text(item.from_name, 512) },
    content,
    replyToProviderMessageId: externalId(fields(item.context).quoted_id),
    sentAt: happened.at,
    receiptId: delivery.receiptId,
  }
  const part = fields(item[type])
  const wasCut = isCut(part.body, content.text) || isCut(part.caption, content.text)
  const notes = [wasCut ? 'The text was cut to fit an event.' : null, happened.note].filter((note) => note !== null)
  return emitted(key, messageReceived, data, notes.length > 0 ? notes.join(' ') : undefined)
}

/** Who wrote a message or did something to one. */
function writerOf(delivery: WhapiDelivery, chatId: string, item: Fields): { id: string; fromUs: boolean } {
  const fromUs = item.from_me === true
  return { id: senderOf(externalId(item.from), fromUs ? delivery.accountId : chatId).id, fromUs }
}

/** What somebody did to a message. An edit comes as an action and again as a patch: both carry the action's id as key. */
function action(delivery: WhapiDelivery, id: string, chatId: string, item: Fields): NormalisedItem {
  const key = dedupeKey('messages.action', chatId, id)
  const act = fields(item.action)
  const target = externalId(act.target)
  const chat = chatFields(delivery, chatId)
  if (chat === null) return unrecognised(delivery, key, 'A chat id that no chat can have.')
  const { at } = happenedAt(item.timestamp, delivery.receivedAt)
  const { receiptId } = delivery
  const author = writerOf(delivery, chatId, item)
  switch (act.type) {
    case 'edit':
    case 'edited': {
      const content = fields(act.edited_content)
      const words = bodyText(content.body ?? content.caption)
      if (target === null || words === null) return unused(key, 'An edit that changes no text.')
      return emitted(key, messageEdited, { ...chat, providerMessageId: target, author, text: words, editedAt: at, receiptId })
    }
    case 'delete':
      if (target === null) break
      return emitted(dedupeKey('messages.delete', chatId, target, author.id), messageDeleted, {
        ...chat,
        providerMessageId: target,
        author,
        deletedAt: at,
        receiptId,
      })
    case 'reaction': {
      if (target === null) break
      // An empty emoji takes the reaction away.
      const emoji = text(act.emoji, 64)
      return emitted(key, messageReacted, {
        ...chat,
        targetProviderMessageId: target,
        reactorId: author.id,
        fromUs: author.fromUs,
        emoji,
        reactedAt: at,
        receiptId,
      })
    }
    case 'vote':
    case 'ephemeral':
      return unused(key, `Actions of type ${act.type} are not used.`)
  }
  return unrecognised(delivery, key, target === null ? 'An action without a target.' : 'An action of an unknown type.')
}

/** An element of `messages.patch`. Only a changed text matters; reactions and deletions have come as actions already. */
export function editedMessage(delivery: WhapiDelivery, update: Fields): NormalisedItem {
  const after = fields(update.after_update)
  const before = fields(update.before_update)
  const trigger = fields(update.trigger)
  const id = externalId(update.id) ?? externalId(after.id)
  if (id === null) return unrecognised(delivery, `${delivery.topic}:${contentHash(update)}`, 'A change without a message id.')
  const triggerId = externalId(trigger.id)
  const chatId = externalId(after.chat_id) ?? externalId(before.chat_id) ?? externalId(trigger.chat_id)
  const whole = dedupeKey(delivery.topic, id, contentHash(update))
  const byTrigger = triggerId === null || chatId === null ? null : dedupeKey('messages.action', chatId, triggerId)
  const key = byTrigger ?? dedupeKey(delivery.topic, id, contentHash(update), delivery.receiptId)
  const chat = chatId === null ? null : chatFields(delivery, chatId)
  if (chatId === null || chat === null) return unrecognised(delivery, key, 'A change without a chat.')
  const words = wordsOf(after)
  if (words === null || words === wordsOf(before)) {
    return unused(whole, `Changes of ${changedNames(update)} are not used.`)
  }
  const editedAt = happenedAt(trigger.timestamp, delivery.receivedAt).at
  // Where the patch brings what triggered it, that says who did it; else the message as it now is says whose it is.
  const author = writerOf(delivery, chatId, isFields(update.trigger) ? trigger : after)
  const edit = emitted(key, messageEdited, {
    ...chat,
    providerMessageId: id,
    author,
    text: words,
    editedAt,
    receiptId: delivery.receiptId,
  })
  // Without what triggered it, a change back and forth again is the same bytes again.
  return byTrigger === null ? told(edit, [delivery.topic, chatId, id], update) : edit
}

function wordsOf(message: Fields): string | null {
  const part = fields(message[text(message.type, 64) ?? ''])
  return bodyText(part.body ?? part.caption)
}

function changedNames(update: Fields): string {
  const names = list(update.changes).filter((name): name is string => typeof name === 'string' && /^[a-z_]{1,32}$/.test(name))
  return names.slice(0, 5).join(', ') || 'other things'
}

/** An element of `messages_removed`: a bare id, in some versions an object, mostly without its chat. */
export function removedMessage(delivery: WhapiDelivery, removed: unknown): NormalisedItem {
  const item = isFields(removed) ? removed : { id: removed }
  const id = externalId(item.id ?? item.message_id)
  const chat = chatFields(delivery, externalId(item.chat_id) ?? unknownChat)
  if (id === null || chat === null) {
    return unrecognised(delivery, `${delivery.topic}:${contentHash(removed)}`, 'A deletion without a message id.')
  }
  const { receivedAt: deletedAt, receiptId } = delivery
  return emitted(dedupeKey(delivery.topic, id), messageDeleted, { ...chat, providerMessageId: id, deletedAt, receiptId })
}

/** The longest pause between two tries that a channel can be set to (providers.md §1). */
const longestRetryMs = 3_600_000

/**
 * `messages_removed_all`: a chat was emptied. The body names nothing but the chat, so a second time looks the same: it is one when the
 * first is older than a retry can be.
 */
export function clearedChat(delivery: WhapiDelivery, value: unknown): NormalisedItem {
  const chatId = externalId(value)
  const chat = chatId === null ? null : chatFields(delivery, chatId)
  const { receivedAt: deletedAt, receiptId } = delivery
  const key = dedupeKey(delivery.topic, 'all', receiptId)
  if (chatId === null || chat === null) return unrecognised(delivery, key, 'A cleared chat without an id.')
  const cleared = emitted(key, messageDeleted, { ...chat, providerMessageId: null, deletedAt, receiptId })
  return told(cleared, [delivery.topic, 'all', chatId], 'cleared', longestRetryMs)
}
