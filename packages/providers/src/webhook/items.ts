import { type EventType, type ProviderName, webhookUnrecognised } from '@parley/contracts'
import { hash } from 'node:crypto'
import { cut, jsonBytes, maxEventBytes } from './fields.ts'
import type { Normalised, NormalisedItem } from './types.ts'

/** What every item of one delivery shares. */
export interface Delivery {
  provider: ProviderName
  topic: string
  receiptId: string
}

/** An item with an event; the type of `data` is checked against the contract. */
export function emitted<Data>(dedupeKey: string, type: EventType<Data>, data: Data, note?: string): NormalisedItem {
  const event = { type: type as EventType, data }
  return note === undefined ? { dedupeKey, event } : { dedupeKey, event, note }
}

/**
 * Like `emitted`, for data whose size the provider decides. What exceeds an event is told as `reference`, which names the thing so that it
 * can be read; where there is none it becomes unrecognised, not a stuck outbox.
 */
export function emittedIfItFits<Data>(
  delivery: Delivery,
  dedupeKey: string,
  type: EventType<Data>,
  data: Data,
  reference?: Data,
): NormalisedItem {
  const note = `Too large for ${type.type}.`
  if (jsonBytes(data) <= maxEventBytes) return emitted(dedupeKey, type, data)
  if (reference !== undefined && jsonBytes(reference) <= maxEventBytes) return emitted(dedupeKey, type, reference, note)
  return unrecognised(delivery, dedupeKey, note)
}

/**
 * The item as a state or a demand (ToldState): its key must name the delivery, or else the receipt, so that only a retry of the same
 * delivery has it again. Subject and value are kept hashed: they name people and take any length.
 */
export function told(
  item: NormalisedItem,
  subject: readonly string[],
  value: unknown,
  againAfterMs: number | null = null,
): NormalisedItem {
  return { ...item, state: { subject: contentHash(subject), value: contentHash(value), againAfterMs } }
}

/** Known, and of no use to us. */
export function unused(dedupeKey: string, note: string): NormalisedItem {
  return { dedupeKey, event: null, note }
}

/** Authentic, but not in a form we know. `reason` must not quote the body. */
export function unrecognised(delivery: Delivery, dedupeKey: string, reason: string): NormalisedItem {
  const { provider, topic, receiptId } = delivery
  return emitted(dedupeKey, webhookUnrecognised, { provider, topic: cut(topic, 128), reason, receiptId })
}

export function onlyUnrecognised(delivery: Delivery, bodySha256: string, reason: string): Normalised {
  return { topic: delivery.topic, items: [unrecognised(delivery, `unrecognised:${bodySha256}`, reason)] }
}

/** Short hash of a parsed value, for keys of things that come again under the same id with other content. */
export function contentHash(value: unknown): string {
  return hash('sha256', JSON.stringify(value) ?? '', 'hex').slice(0, 32)
}

const longestKey = 400

/** Joins the parts of a dedupe key; a long part (a hostile or unusual id) is replaced by its hash. */
export function dedupeKey(...parts: string[]): string {
  const key = parts.join(':')
  return key.length <= longestKey ? key : `${parts[0]}:${hash('sha256', key, 'hex')}`
}
