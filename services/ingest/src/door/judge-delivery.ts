import type { ProviderName } from '@parley/contracts'
import { type Normalised, type NormalisedItem, type NormaliseInput, ShapeError, webhookAdapters } from '@parley/providers/webhook'
import { AppError, describe, indexText, outboxRow, type OutboxRow } from '@parley/runtime'
import type { ReceiptState } from '../db/types.ts'
import { type JudgedItem, providerTimeOf, verdictOf } from '../rules/verdict.ts'
import type { DeliveryItem } from '../store-deliveries.ts'

/** What a receipt says of a delivery, and what follows from it. */
export interface Judgement {
  topic: string
  state: ReceiptState
  note: string | null
  error: string | null
  providerTime: string | null
  items: DeliveryItem[]
}

/** When and in whose trace the events of a delivery are stated. */
interface Stated {
  traceparent: string | undefined
  at: Date
}

/**
 * Normalises an authentic delivery. A body that contradicts its topic is the sender's fault: AppError `invalid`. A normaliser that
 * fails, or makes what cannot be stated, is ours: the receipt is `dead`, keeps its body, and can be replayed when we have mended it
 * (reliability.md D31); what else it held is told.
 */
export function judgeDelivery(
  organizationId: string,
  provider: ProviderName,
  input: NormaliseInput,
  stated: Stated,
  normalise: (input: NormaliseInput) => Normalised = webhookAdapters[provider].normalise,
): Judgement {
  try {
    const { topic, items } = normalise(input)
    return judge(organizationId, { topic, items: withoutRepeats(items) }, input.receiptId, stated)
  } catch (cause) {
    if (cause instanceof ShapeError) throw new AppError('invalid', cause.message, { cause })
    return { topic: 'unknown', state: 'dead', note: null, error: errorText(cause), providerTime: null, items: [] }
  }
}

function judge(organizationId: string, { topic, items }: Normalised, receiptId: string, stated: Stated): Judgement {
  const origin = { organizationId, correlationId: receiptId, causationId: receiptId }
  const failures: unknown[] = []
  /** What cannot be stated (too large, a key no subject holds) must not take the delivery's other facts with it. */
  const rowOf = (event: NonNullable<NormalisedItem['event']>): OutboxRow | undefined => {
    try {
      return outboxRow('ingest', origin, event.type, event.data, stated.traceparent, stated.at)
    } catch (cause) {
      failures.push(cause)
      return undefined
    }
  }
  const judged = items.flatMap((item): (DeliveryItem & JudgedItem)[] => {
    const row = item.event === null ? null : rowOf(item.event)
    // Not noted as delivered either: should it come again, or be replayed, it is tried anew.
    if (row === undefined) return []
    const chatKey = textField(item, 'chatKey')
    const note = item.note ?? reasonOf(item)
    const place = { key: indexText(item.dedupeKey), chatKey: chatKey === null ? null : indexText(chatKey) }
    return [{ ...place, row, state: item.state, eventType: row?.type ?? null, note }]
  })
  const providerTime = providerTimeOf(items.flatMap((item) => (item.event === null ? [] : [item.event.data])))
  const judgement = { topic: topic.slice(0, 200), ...verdictOf(judged), error: null, providerTime, items: judged }
  // Its body stays: a replay states what was missing, once we have mended that.
  return failures.length === 0 ? judgement : { ...judgement, state: 'dead', error: errorText(failures[0]) }
}

function withoutRepeats(items: readonly NormalisedItem[]): NormalisedItem[] {
  const seen = new Set<string>()
  return items.filter((item) => !seen.has(item.dedupeKey) && seen.add(item.dedupeKey))
}

/** Why a delivery was not recognised stands in its event. */
function reasonOf(item: NormalisedItem): string | null {
  return item.event?.type.type === 'webhook.unrecognised' ? textField(item, 'reason') : null
}

function textField(item: NormalisedItem, field: string): string | null {
  const value = (item.event?.data as Record<string, unknown> | undefined)?.[field]
  return typeof value === 'string' ? value : null
}

function errorText(error: unknown): string {
  const { name, message } = describe(error)
  return `${name}: ${message}`.slice(0, 1_000).replaceAll('\0', '').toWellFormed()
}
