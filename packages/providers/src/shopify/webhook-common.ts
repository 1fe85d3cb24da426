import { maxShopLines, type ShopAddress, type ShopCustomerRef, type ShopLine, webhookUnrecognised } from '@parley/contracts'
import {
  count,
  Cuts,
  decimalText,
  externalId,
  type Fields,
  fields,
  fitsSubject,
  fitting,
  isFields,
  isoToUtc,
  jsonBytes,
  list,
  maxEventBytes,
  text,
} from '../webhook/fields.ts'
import { type Delivery, dedupeKey, told } from '../webhook/items.ts'
import { type NormalisedItem, ShapeError } from '../webhook/types.ts'

export interface ShopDelivery extends Delivery {
  /** The permanent domain, lower case. */
  shop: string
  triggeredAt: string | null
  /** Shared by all deliveries of one change in the shop, the same on a retry; not covered by the signature. */
  eventId: string
  receivedAt: string
  /** Of the raw body. */
  contentKey: string
}

export type TopicReader = (delivery: ShopDelivery, body: Fields) => NormalisedItem

/** What every event out of a shop says. */
export function shopFields(delivery: ShopDelivery, body: Fields) {
  return {
    provider: 'shopify' as const,
    shop: delivery.shop,
    updatedAt: isoToUtc(body.updated_at),
    triggeredAt: delivery.triggeredAt,
    receiptId: delivery.receiptId,
  }
}

/**
 * By content, because a replayed body may carry new header ids (reliability.md A5): a retry resends the bytes of the first
 * try, and a new version of a resource differs at least in `updated_at`.
 */
export function contentKey(delivery: ShopDelivery, id: string): string {
  return dedupeKey(delivery.topic, id, delivery.contentKey)
}

/**
 * For bodies that are the same whenever the thing happens again (a return closed twice, a second uninstall): the shop's event
 * id tells them apart. It is unsigned, so what hangs on it may only lead to reading the shop again.
 */
export function repeatableKey(delivery: ShopDelivery, id: string): string {
  return dedupeKey(delivery.topic, id, delivery.contentKey, delivery.eventId || delivery.receiptId)
}

/** Eight tries in four hours, of deliveries that may be a day late (providers.md §3). */
const longestRetryMs = 24 * 3_600_000

/**
 * What a resource is now, or one side of it. With a time of the shop's own its content is a fact; without one (published consents have
 * none) it may become so again in the same words: told when it is not what was last told.
 */
export function stateTopic(side: string, read: TopicReader): TopicReader {
  return (delivery, body) => {
    const item = read(delivery, body)
    if (!isTold(item)) return item
    const { type, data } = item.event
    const { updatedAt } = data as { updatedAt: string | null }
    const key = type.keyOf(data)
    const dedupe = updatedAt === null ? repeatableKey(delivery, key) : item.dedupeKey
    return told({ ...item, dedupeKey: dedupe }, [side, key], [delivery.topic, delivery.contentKey])
  }
}

/** What is demanded as often as it is told. Without the shop's event id, the same again is a retry for a day. */
export function demandTopic(read: TopicReader): TopicReader {
  return againTopic(read, (item, delivery, key) =>
    told(item, [delivery.topic, key, delivery.contentKey], 'demanded', longestRetryMs),
  )
}

/** A step that a thing may take again, in the same words. Without the shop's event id, one that follows itself is a retry. */
export function stepTopic(side: string, read: TopicReader): TopicReader {
  return againTopic(read, (item, delivery, key) => told(item, [side, key], [delivery.topic, delivery.contentKey]))
}

function againTopic(
  read: TopicReader,
  withoutEventId: (item: NormalisedItem, delivery: ShopDelivery, key: string) => NormalisedItem,
): TopicReader {
  return (delivery, body) => {
    const item = read(delivery, body)
    if (!isTold(item)) return item
    const key = item.event.type.keyOf(item.event.data)
    const again = { ...item, dedupeKey: repeatableKey(delivery, key) }
    return delivery.eventId === '' ? withoutEventId(again, delivery, key) : again
  }
}

function isTold(item: NormalisedItem): item is NormalisedItem & { event: NonNullable<NormalisedItem['event']> } {
  return item.event !== null && item.event.type.type !== webhookUnrecognised.type
}

const gid = /^gid:\/\/shopify\/([A-Za-z]+)\/([^/?]+)/

/** The id of a resource without its gid wrapping: REST and GraphQL ids of one thing become one text. */
export function plainId(value: unknown): string | null {
  const id = externalId(value)
  return id === null ? null : (gid.exec(id)?.[2] ?? id)
}

export function resourceId(resource: Fields): string | null {
  return plainId(resource.id) ?? plainId(resource.admin_graphql_api_id)
}

/** The ordering key of a resource of the shop; null when it cannot be a subject on the bus. */
export function shopKey(delivery: ShopDelivery, id: string): string | null {
  const key = `${delivery.shop}:${id}`
  return fitsSubject(key) ? key : null
}

type Kind = 'Order' | 'Product' | 'Customer' | 'Checkout' | 'Cart' | 'Refund' | 'Return' | 'Shop' | 'Privacy' | 'Deletion'

/** Root keys that only bodies of these kinds have. */
const marks: Readonly<Record<string, readonly Kind[]>> = {
  line_items: ['Order', 'Checkout', 'Cart'],
  financial_status: ['Order'],
  variants: ['Product'],
  first_name: ['Customer'],
  refund_line_items: ['Refund'],
  return_line_items: ['Return'],
  myshopify_domain: ['Shop'],
  shop_domain: ['Privacy'],
  orders_to_redact: ['Privacy'],
  orders_requested: ['Privacy'],
}

/**
 * Throws ShapeError when the body is evidently of another kind than its topic: the topic header is unsigned, so a captured
 * order could be sent again as a deletion (reliability.md A7). `type` is the one its gid names.
 */
export function refuseOtherKind(delivery: ShopDelivery, body: Fields, kind: Kind, type: string = kind): void {
  const named = typeof body.admin_graphql_api_id === 'string' ? gid.exec(body.admin_graphql_api_id)?.[1] : undefined
  if (named !== undefined && named !== type) throw new ShapeError(`The body of ${delivery.topic} is about another kind of thing.`)
  for (const [mark, kinds] of Object.entries(marks)) {
    if (body[mark] !== undefined && !kinds.includes(kind))
      throw new ShapeError(`The body of ${delivery.topic} must not have ${mark}.`)
  }
}

export function address(value: unknown): ShopAddress | null {
  if (!isFields(value)) return null
  return {
    name: text(value.name, 255) ?? text([value.first_name, value.last_name].filter((part) => text(part, 255)).join(' '), 255),
    company: text(value.company, 255),
    address1: text(value.address1, 255),
    address2: text(value.address2, 255),
    city: text(value.city, 255),
    province: text(value.province, 255),
    zip: text(value.zip, 64),
    country: text(value.country, 255),
    countryCode: text(value.country_code, 8),
    phone: text(value.phone, 64),
  }
}

/** Null when the key is missing: the customer was removed from the order, or the buyer is not told (providers.md §15). */
export function customerRef(value: unknown): ShopCustomerRef | null {
  if (!isFields(value)) return null
  return {
    customerId: resourceId(value),
    email: text(value.email, 320),
    phone: text(value.phone, 64),
    firstName: text(value.first_name, 255),
    lastName: text(value.last_name, 255),
  }
}

/** Tags come as one text with commas, on some topics as a list. */
export function tagsOf(cuts: Cuts, value: unknown): string[] {
  const tags = typeof value === 'string' ? value.split(',') : list(value)
  const trimmed = tags.map((tag) => (typeof tag === 'string' ? tag.trim() : tag))
  return textsOf(cuts, 'tags', trimmed, 500)
}

/** What one list of texts may take of an event, so that none crowds the lines out. */
const maxTextsBytes = 14 * 1_024

/** The texts of a list that are not empty: gateways may be `[""]`. */
export function textsOf(cuts: Cuts, name: string, values: readonly unknown[], maxItems: number): string[] {
  const texts = values.flatMap((value) => cuts.text(name, value, 255) ?? [])
  return cuts.list(name, texts, maxItems, maxTextsBytes)
}

/** As many lines as fit beside the rest of the event, which takes `otherBytes`. */
export function linesBeside(
  otherBytes: number,
  value: unknown,
): { lines: ShopLine[]; lineCount: number; linesTruncated: boolean } {
  const all = list(value)
  const lines = fitting(mapLazily(all, lineOf), maxShopLines, maxEventBytes - otherBytes)
  return { lines, lineCount: all.length, linesTruncated: lines.length < all.length }
}

/** Room that an event without its lines takes. */
export function bytesBesideLines(data: unknown): number {
  return jsonBytes(data) + 256
}

export function* mapLazily<T>(items: readonly unknown[], read: (item: Fields) => T): Generator<T> {
  for (const item of items) yield read(fields(item))
}

function lineOf(line: Fields): ShopLine {
  return {
    lineItemId: plainId(line.id),
    productId: plainId(line.product_id),
    variantId: plainId(line.variant_id),
    sku: text(line.sku, 255),
    title: text(line.title, 512) ?? text(line.name, 512),
    variantTitle: text(line.variant_title, 255),
    quantity: count(line.quantity),
    price: decimalText(line.price),
    totalDiscount: decimalText(line.total_discount),
    giftCard: line.gift_card === true || line.gift_card === 'true',
    ...propertiesOf(line.properties),
  }
}

/** A list of `{name, value}` in orders, a plain object in carts, one such pair in old answers, null or nothing elsewhere. */
function propertiesOf(value: unknown): Pick<ShopLine, 'properties' | 'propertiesTruncated'> {
  const pairs = Array.isArray(value) ? value.map((pair) => [fields(pair).name, fields(pair).value]) : pairsOf(fields(value))
  const cuts = new Cuts()
  const read = pairs.flatMap(([name, content]) => {
    const known = cuts.text('properties', name, 128)
    return known !== null && isScalar(content)
      ? [{ name: known, value: cuts.text('properties', String(content), 512) ?? '' }]
      : []
  })
  const properties = cuts.list('properties', read, 100, maxTextsBytes)
  return cuts.said().truncated === undefined ? { properties } : { properties, propertiesTruncated: true }
}

function pairsOf(value: Fields): [unknown, unknown][] {
  const isOnePair = Object.keys(value).length === 2 && 'name' in value && 'value' in value
  return isOnePair ? [[value.name, value.value]] : Object.entries(value)
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
