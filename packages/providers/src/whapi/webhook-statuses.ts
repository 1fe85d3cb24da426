import { type DataOf, type MessageStatus, messageStatusChanged, unknownChat } from '@parley/contracts'
import { type Fields, externalId, isFields, list, happenedAt, text, word } from '../webhook/fields.ts'
import { dedupeKey, emitted, unrecognised } from '../webhook/items.ts'
import type { NormalisedItem } from '../webhook/types.ts'
import { chatFields, type WhapiDelivery } from './webhook-chat.ts'

const known: readonly string[] = ['failed', 'pending', 'sent', 'delivered', 'read', 'played', 'deleted'] satisfies MessageStatus[]

/** A step of one of our messages. By the status word: published examples disagree about the codes (providers.md §1). */
export function messageStatus(delivery: WhapiDelivery, item: Fields): NormalisedItem {
  const id = externalId(item.id)
  const status = item.status
  if (id === null) return unrecognised(delivery, dedupeKey(delivery.topic, delivery.bodySha256), 'A status without a message id.')
  const viewer = externalId(item.viewer_id)
  const chatId = externalId(item.recipient_id) ?? unknownChat
  const key = dedupeKey(delivery.topic, chatId, id, word(status, 32) ?? '', ...(viewer === null ? [] : [viewer]))
  if (typeof status !== 'string' || !known.includes(status)) return unrecognised(delivery, key, 'A status of an unknown name.')
  const chat = chatFields(delivery, chatId)
  if (chat === null) return unrecognised(delivery, key, 'A chat id that no chat can have.')
  return emitted(key, messageStatusChanged, {
    ...chat,
    providerMessageId: id,
    status: status as MessageStatus,
    errors: list(item.errors).slice(0, 20).map(statusError),
    changedAt: happenedAt(item.timestamp, delivery.receivedAt).at,
    receiptId: delivery.receiptId,
  })
}

type StatusError = DataOf<typeof messageStatusChanged>['errors'][number]

function statusError(error: unknown): StatusError {
  if (!isFields(error)) return { code: null, message: word(error, 1_024) ?? 'no detail' }
  const message = text(error.message, 1_024) ?? text(error.details, 1_024) ?? text(error.title, 1_024)
  return { code: word(error.code, 64), message: message ?? 'no detail' }
}
