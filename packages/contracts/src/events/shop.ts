import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import { ProviderName } from '../entities/message.ts'
import { maxShopLines, ShopCheckout, ShopCustomer, ShopOrder, ShopProduct } from '../entities/shop.ts'
import { Currency, DecimalText, ExternalId, Id, Timestamp, Truncated } from '../primitives.ts'

/**
 * Stated by ingest out of shop webhooks, in no promised order and up to a day late. `updatedAt` is the shop's own version of
 * the resource: older than what is stored means ignore. `triggeredAt` is when the shop decided to tell us. Both are null
 * where the shop does not say.
 */
const shopFields = {
  provider: ProviderName,
  /** The shop's permanent domain (`name.myshopify.com`). */
  shop: ExternalId,
  updatedAt: Timestamp.nullable(),
  triggeredAt: Timestamp.nullable(),
  receiptId: Id,
}

const key = z.string().min(1).max(512)

export const shopOrderChanged = defineEvent({
  type: 'shop.order_changed',
  version: 1,
  key: 'shopOrderKey',
  summary: 'A shop reported an order; without `order` only its id is known and it must be read again or was deleted.',
  data: z.object({
    ...shopFields,
    shopOrderKey: key,
    orderId: ExternalId,
    change: z.enum(['created', 'updated', 'cancelled', 'paid', 'partially_fulfilled', 'fulfilled', 'edited', 'deleted']),
    order: ShopOrder.nullable(),
  }),
})

export const shopProductChanged = defineEvent({
  type: 'shop.product_changed',
  version: 1,
  key: 'shopProductKey',
  summary: 'A shop reported a product with its variants; without `product` it was deleted, or must be read again.',
  data: z.object({
    ...shopFields,
    shopProductKey: key,
    productId: ExternalId,
    change: z.enum(['created', 'updated', 'deleted']),
    product: ShopProduct.nullable(),
  }),
})

export const shopCheckoutChanged = defineEvent({
  type: 'shop.checkout_changed',
  version: 1,
  key: 'shopCheckoutKey',
  summary: 'A buyer filled, changed, finished or dropped a cart or a checkout.',
  data: z.object({
    ...shopFields,
    shopCheckoutKey: key,
    kind: z.enum(['cart', 'checkout']),
    /** Checkouts are known by their token: since 2026-07 they have no id, and a deletion has only the id and the cart's token. */
    token: ExternalId.nullable(),
    checkoutId: ExternalId.nullable(),
    cartToken: ExternalId.nullable(),
    change: z.enum(['created', 'updated', 'deleted']),
    checkout: ShopCheckout.nullable(),
  }),
})

export const shopCustomerChanged = defineEvent({
  type: 'shop.customer_changed',
  version: 1,
  key: 'shopCustomerKey',
  summary: 'A shop reported a customer, or one side of them: tags, totals or a consent.',
  data: z.object({
    ...shopFields,
    shopCustomerKey: key,
    customerId: ExternalId,
    change: z.enum([
      'created',
      'updated',
      'enabled',
      'disabled',
      'deleted',
      'tags_added',
      'tags_removed',
      'summary_changed',
      'consent_changed',
    ]),
    customer: ShopCustomer.nullable(),
  }),
})

export const shopRefundChanged = defineEvent({
  type: 'shop.refund_changed',
  version: 1,
  key: 'shopOrderKey',
  summary: 'A shop refunded an order or a part of it; the amounts are as reported and need not add up.',
  data: z.object({
    ...shopFields,
    shopOrderKey: key,
    orderId: ExternalId,
    refundId: ExternalId,
    change: z.enum(['created']),
    returnId: ExternalId.nullable(),
    note: z.string().max(2_000).nullable(),
    restock: z.boolean().nullable(),
    transactions: z
      .array(
        z.object({
          transactionId: ExternalId.nullable(),
          kind: z.string().max(64).nullable(),
          status: z.string().max(64).nullable(),
          gateway: z.string().max(255).nullable(),
          amount: DecimalText.nullable(),
          currency: Currency.nullable(),
        }),
      )
      .max(200),
    lines: z
      .array(
        z.object({
          lineItemId: ExternalId.nullable(),
          quantity: z.int().min(0).nullable(),
          restockType: z.string().max(64).nullable(),
          subtotal: DecimalText.nullable(),
          totalTax: DecimalText.nullable(),
        }),
      )
      .max(maxShopLines),
    lineCount: z.int().min(0),
    linesTruncated: z.boolean(),
    refundedAt: Timestamp.nullable(),
    truncated: Truncated,
  }),
})

export const shopReturnChanged = defineEvent({
  type: 'shop.return_changed',
  version: 1,
  key: 'shopReturnKey',
  summary: 'A return moved on in the shop; what is null was not told and must be read again.',
  data: z.object({
    ...shopFields,
    shopReturnKey: key,
    returnId: ExternalId,
    orderId: ExternalId.nullable(),
    name: z.string().max(255).nullable(),
    change: z.enum([
      'requested',
      'approved',
      'declined',
      'cancelled',
      'closed',
      'reopened',
      'updated',
      'shipment_attached',
      'disposed',
    ]),
    status: z.string().max(64).nullable(),
    declineReason: z.string().max(255).nullable(),
    declineNote: z.string().max(2_000).nullable(),
    lines: z
      .array(
        z.object({
          returnLineId: ExternalId.nullable(),
          lineItemId: ExternalId.nullable(),
          quantity: z.int().min(0).nullable(),
          reason: z.string().max(255).nullable(),
          note: z.string().max(1_000).nullable(),
        }),
      )
      .max(maxShopLines),
    /** As the shop counts them, which may be more than it lists. */
    lineCount: z.int().min(0),
    linesTruncated: z.boolean(),
  }),
})

export const shopUninstalled = defineEvent({
  type: 'shop.uninstalled',
  version: 1,
  key: 'shop',
  summary: 'A shop removed our app: its token is dead, and its data is to be erased when the shop asks 48 hours later.',
  data: z.object({ ...shopFields, shopId: ExternalId.nullable() }),
})
