import { channelStatusChanged } from '@parley/contracts'
import { externalId, type Fields, fields, fitsSubject, isFields, list, text } from '../webhook/fields.ts'
import { dedupeKey, emitted, onlyUnrecognised, told, unrecognised, unused } from '../webhook/items.ts'
import { providerLimits } from '../webhook/limits.ts'
import { accepted, checkStaticHeader, refused } from '../webhook/signature.ts'
import type {
  Normalised,
  NormalisedItem,
  NormaliseInput,
  Verdict,
  WebhookAdapter,
  WebhookRequest,
  WebhookSecrets,
} from '../webhook/types.ts'
import { clearedChat, editedMessage, newMessage, removedMessage, type WhapiDelivery } from './webhook-messages.ts'
import { channelStatus } from './webhook-health.ts'
import { messageStatus } from './webhook-statuses.ts'

/**
 * Whapi.cloud webhooks (providers.md §1): unsigned, so a static header beside the path token is all that shows the sender,
 * and whatever costs money is read again from the provider. Only `mode: body` is understood: always POST, one URL, the kind
 * of event in the body.
 */
export const whapiWebhook: WebhookAdapter = {
  provider: 'whapi',
  limits: providerLimits,
  checkHeaders: verify,
  verify,
  checkAccount,
  normalise,
}

function verify(request: Pick<WebhookRequest, 'headers'>, secrets: WebhookSecrets): Verdict {
  return checkStaticHeader(request.headers, secrets.header)
}

function checkAccount(body: unknown, secrets: WebhookSecrets): Verdict {
  if (secrets.accountId === null) return refused(403, 'source_not_bound')
  return fields(body).channel_id === secrets.accountId ? accepted : refused(403, 'other_channel')
}

function normalise(input: NormaliseInput): Normalised {
  const body = fields(input.body)
  const { type, verb } = eventOf(body)
  const topic = type === null ? 'none' : `${type}.${verb}`
  const named = { provider: 'whapi' as const, topic, receiptId: input.receiptId }
  const accountId = externalId(body.channel_id) ?? input.accountId
  if (type === null) return onlyUnrecognised(named, input.bodySha256, 'No event type: is the webhook in mode body?')
  if (accountId === null || !fitsSubject(`whapi:${accountId}`))
    return onlyUnrecognised(named, input.bodySha256, 'No usable channel_id.')
  const delivery: WhapiDelivery = {
    ...named,
    accountId,
    receivedAt: input.receivedAt.toISOString(),
    bodySha256: input.bodySha256,
  }
  return { topic, items: itemsOf(delivery, type, verb, body) }
}

/** The verb stands under `event`, in an older documented form under `method`. */
function eventOf(body: Fields): { type: string | null; verb: string } {
  const event = fields(body.event)
  return { type: text(event.type, 64), verb: text(event.event, 16) ?? text(event.method, 16) ?? '' }
}

const unusedTypes = new Set(['chats', 'contacts', 'groups', 'presences', 'calls', 'labels', 'service'])

function itemsOf(delivery: WhapiDelivery, type: string, verb: string, body: Fields): NormalisedItem[] {
  switch (`${type}.${verb}`) {
    case 'messages.post':
    case 'messages.put':
      return each(delivery, body.messages, newMessage)
    case 'messages.patch':
      return each(delivery, body.messages_updates, editedMessage)
    case 'messages.delete':
      return removals(delivery, body)
    case 'statuses.post':
    case 'statuses.put':
      return each(delivery, body.statuses, messageStatus)
    case 'channel.post':
    case 'channel.patch':
    case 'users.post':
    case 'users.delete':
      return [channelChange(delivery, type, verb, body)]
  }
  if (unusedTypes.has(type)) return [unused(dedupeKey(delivery.topic, delivery.bodySha256), `${type} are not used.`)]
  return [unrecognised(delivery, `unrecognised:${delivery.bodySha256}`, 'Unknown kind of event.')]
}

/** One item per element; what is no object at all is kept as unrecognised, so nothing of a batch goes missing. */
function each(
  delivery: WhapiDelivery,
  value: unknown,
  read: (delivery: WhapiDelivery, item: Fields) => NormalisedItem,
): NormalisedItem[] {
  if (!Array.isArray(value))
    return [unrecognised(delivery, `unrecognised:${delivery.bodySha256}`, 'The list of this event is missing.')]
  return value.map((item, index) =>
    isFields(item)
      ? read(delivery, item)
      : unrecognised(delivery, `unrecognised:${delivery.bodySha256}:${index}`, 'An element of the list is not an object.'),
  )
}

function removals(delivery: WhapiDelivery, body: Fields): NormalisedItem[] {
  if (body.messages_removed_all !== undefined) return [clearedChat(delivery, body.messages_removed_all)]
  return list(body.messages_removed).map((removed) => removedMessage(delivery, removed))
}

/**
 * Health and log-in of the linked phone: a state, of which the bodies tell neither id nor time. Logged out again, they are the same
 * bytes again.
 */
function channelChange(delivery: WhapiDelivery, type: string, verb: string, body: Fields): NormalisedItem {
  const { status, needsPerson, providerStatus } = channelStatus(type, verb, body)
  const item = emitted(dedupeKey(delivery.topic, delivery.receiptId), channelStatusChanged, {
    accountKey: `whapi:${delivery.accountId}`,
    provider: 'whapi',
    channel: 'whatsapp',
    accountId: delivery.accountId,
    status,
    needsPerson,
    providerStatus,
    changedAt: delivery.receivedAt,
    receiptId: delivery.receiptId,
  })
  return told(item, ['channel', delivery.accountId], [status, needsPerson, providerStatus])
}
