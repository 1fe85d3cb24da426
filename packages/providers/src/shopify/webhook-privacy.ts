import { privacyRequested, shopUninstalled } from '@parley/contracts'
import { externalId, type Fields, fields, isFields, list, text } from '../webhook/fields.ts'
import { emittedIfItFits } from '../webhook/items.ts'
import { type NormalisedItem, ShapeError } from '../webhook/types.ts'
import {
  contentKey,
  plainId,
  refuseOtherKind,
  repeatableKey,
  type ShopDelivery,
  shopFields,
  shopKey,
  type TopicReader,
} from './webhook-common.ts'

/*
 * These erase or hand out data, so the body itself must bear out the unsigned topic, positively: each of the four has a key
 * that the others lack, and anything else is refused (reliability.md A7).
 */

export const dataRequested: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Privacy')
  if (!isFields(body.data_request) || body.orders_to_redact !== undefined) throw wrong(delivery, 'must have data_request')
  return aboutCustomer(delivery, body, 'data_request', list(body.orders_requested))
}

/** May name nothing but an e-mail, and no orders (providers.md §3). */
export const customerRedacted: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Privacy')
  if (body.data_request !== undefined || body.orders_requested !== undefined) throw wrong(delivery, 'must not be a data request')
  return aboutCustomer(delivery, body, 'customer_redact', list(body.orders_to_redact))
}

export const shopRedacted: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Privacy')
  if (body.customer !== undefined || body.data_request !== undefined) throw wrong(delivery, 'must not name a customer')
  const shopId = shopIdOf(delivery, body)
  return emittedIfItFits(delivery, repeatableKey(delivery, shopId), privacyRequested, {
    ...requestFields(delivery, shopId),
    privacyKey: delivery.shop,
    kind: 'shop_redact',
    dataRequestId: null,
    customer: null,
    orderIds: [],
    ordersTruncated: false,
  })
}

/** The shop resource; its own `myshopify_domain` may be null, but the key is there. */
export const appUninstalled: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Shop')
  if (body.myshopify_domain === undefined) throw wrong(delivery, 'must have myshopify_domain')
  const shopId = plainId(body.id)
  return emittedIfItFits(delivery, repeatableKey(delivery, shopId ?? 'no-id'), shopUninstalled, {
    ...shopFields(delivery, body),
    shopId,
  })
}

function aboutCustomer(
  delivery: ShopDelivery,
  body: Fields,
  kind: 'data_request' | 'customer_redact',
  orders: readonly unknown[],
): NormalisedItem {
  const shopId = shopIdOf(delivery, body)
  const { id, email: address, phone: number } = fields(body.customer)
  const customer = { customerId: plainId(id), email: text(address, 320), phone: text(number, 64) }
  const named = customer.customerId ?? customer.email ?? customer.phone
  if (named === null) throw wrong(delivery, 'must name a customer')
  const orderIds = orders.flatMap((order) => plainId(order) ?? [])
  return emittedIfItFits(delivery, contentKey(delivery, named), privacyRequested, {
    ...requestFields(delivery, shopId),
    // An e-mail too long for a subject: the shop's own lane serves as well, requests are rare.
    privacyKey: shopKey(delivery, named) ?? delivery.shop,
    kind,
    dataRequestId: externalId(fields(body.data_request).id),
    customer,
    orderIds: orderIds.slice(0, 1_000),
    ordersTruncated: orderIds.length > 1_000,
  })
}

function requestFields(delivery: ShopDelivery, shopId: string) {
  return {
    provider: 'shopify' as const,
    shop: delivery.shop,
    shopId,
    requestedAt: delivery.triggeredAt ?? delivery.receivedAt,
    receiptId: delivery.receiptId,
  }
}

function shopIdOf(delivery: ShopDelivery, body: Fields): string {
  const shopId = plainId(body.shop_id)
  if (shopId === null || typeof body.shop_domain !== 'string') throw wrong(delivery, 'must have shop_id and shop_domain')
  return shopId
}

function wrong(delivery: ShopDelivery, what: string): ShapeError {
  return new ShapeError(`The body of ${delivery.topic} ${what}.`)
}
