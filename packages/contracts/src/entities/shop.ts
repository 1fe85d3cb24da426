import { z } from 'zod'
import { Currency, DecimalText, ExternalId, Timestamp, Truncated } from '../primitives.ts'

/** Line items, variants and the like that one event carries at most: an order of hundreds of lines must still fit 64 KiB. */
export const maxShopLines = 200

export const ShopAddress = z.object({
  name: z.string().max(255).nullable(),
  company: z.string().max(255).nullable(),
  address1: z.string().max(255).nullable(),
  address2: z.string().max(255).nullable(),
  city: z.string().max(255).nullable(),
  province: z.string().max(255).nullable(),
  zip: z.string().max(64).nullable(),
  country: z.string().max(255).nullable(),
  countryCode: z.string().max(8).nullable(),
  phone: z.string().max(64).nullable(),
})
export type ShopAddress = z.infer<typeof ShopAddress>

/**
 * The customer as an order or checkout names them. Null fields mean "not told", never "has none": without approval for
 * protected customer data the shop blanks names, phones and e-mails (providers.md §3). Phones are as the shop wrote them.
 */
export const ShopCustomerRef = z.object({
  customerId: ExternalId.nullable(),
  email: z.string().max(320).nullable(),
  phone: z.string().max(64).nullable(),
  firstName: z.string().max(255).nullable(),
  lastName: z.string().max(255).nullable(),
})
export type ShopCustomerRef = z.infer<typeof ShopCustomerRef>

/** One line of an order, checkout or cart. `price` is per piece, before discounts. Custom lines have no product or variant. */
export const ShopLine = z.object({
  lineItemId: ExternalId.nullable(),
  productId: ExternalId.nullable(),
  variantId: ExternalId.nullable(),
  sku: z.string().max(255).nullable(),
  title: z.string().max(512).nullable(),
  variantTitle: z.string().max(255).nullable(),
  /** Null: not told in a form we can read, which is not none. */
  quantity: z.int().min(0).nullable(),
  price: DecimalText.nullable(),
  totalDiscount: DecimalText.nullable(),
  giftCard: z.boolean(),
  /** What the buyer typed or chose for the line (an engraving, a size chart); the shop sends a list, one object, null or nothing. */
  properties: z.array(z.object({ name: z.string().max(128), value: z.string().max(512) })).max(100),
  /** Present when the properties are not all there, or not in full. */
  propertiesTruncated: z.literal(true).optional(),
})
export type ShopLine = z.infer<typeof ShopLine>

/** `lineCount` is what the shop sent; when `linesTruncated` the list is only its beginning and the order must be read again. */
export const shopLines = {
  lines: z.array(ShopLine).max(maxShopLines),
  lineCount: z.int().min(0),
  linesTruncated: z.boolean(),
}

/** Money in the shop's currency, as decimal text. Statuses are the shop's own words: new ones appear without notice. */
export const ShopOrder = z.object({
  name: z.string().max(255).nullable(),
  number: z.string().max(64).nullable(),
  customer: ShopCustomerRef.nullable(),
  /** The order's own contact, which may differ from the customer's. */
  email: z.string().max(320).nullable(),
  phone: z.string().max(64).nullable(),
  currency: Currency.nullable(),
  presentmentCurrency: Currency.nullable(),
  subtotalPrice: DecimalText.nullable(),
  totalDiscounts: DecimalText.nullable(),
  totalShipping: DecimalText.nullable(),
  totalTax: DecimalText.nullable(),
  totalPrice: DecimalText.nullable(),
  totalOutstanding: DecimalText.nullable(),
  financialStatus: z.string().max(64).nullable(),
  fulfillmentStatus: z.string().max(64).nullable(),
  /** Free, localised names; cash on delivery is recognised by them, there is no flag (providers.md §3). */
  gatewayNames: z.array(z.string().max(255)).max(100),
  cancelledAt: Timestamp.nullable(),
  cancelReason: z.string().max(64).nullable(),
  closedAt: Timestamp.nullable(),
  test: z.boolean(),
  sourceName: z.string().max(64).nullable(),
  cartToken: z.string().max(255).nullable(),
  checkoutToken: z.string().max(255).nullable(),
  note: z.string().max(2_000).nullable(),
  tags: z.array(z.string().max(255)).max(500),
  discountCodes: z.array(z.string().max(255)).max(250),
  shippingAddress: ShopAddress.nullable(),
  billingAddress: ShopAddress.nullable(),
  orderedAt: Timestamp.nullable(),
  ...shopLines,
  truncated: Truncated,
})
export type ShopOrder = z.infer<typeof ShopOrder>

export const ShopVariant = z.object({
  variantId: ExternalId,
  title: z.string().max(255).nullable(),
  sku: z.string().max(255).nullable(),
  barcode: z.string().max(255).nullable(),
  price: DecimalText.nullable(),
  compareAtPrice: DecimalText.nullable(),
  /** Negative when oversold. */
  inventoryQuantity: z.int().nullable(),
  options: z.array(z.string().max(255)).max(3),
})
export type ShopVariant = z.infer<typeof ShopVariant>

export const ShopProduct = z.object({
  title: z.string().max(512).nullable(),
  /** HTML as the shop wrote it, possibly cut: untrusted text. */
  descriptionHtml: z.string().max(4_000).nullable(),
  vendor: z.string().max(255).nullable(),
  productType: z.string().max(255).nullable(),
  handle: z.string().max(255).nullable(),
  status: z.string().max(64).nullable(),
  tags: z.array(z.string().max(255)).max(500),
  imageUrl: z.string().max(2_048).nullable(),
  publishedAt: Timestamp.nullable(),
  variants: z.array(ShopVariant).max(maxShopLines),
  variantCount: z.int().min(0),
  variantsTruncated: z.boolean(),
  truncated: Truncated,
})
export type ShopProduct = z.infer<typeof ShopProduct>

export const ShopCheckout = z.object({
  customer: ShopCustomerRef.nullable(),
  email: z.string().max(320).nullable(),
  phone: z.string().max(64).nullable(),
  currency: Currency.nullable(),
  subtotalPrice: DecimalText.nullable(),
  totalPrice: DecimalText.nullable(),
  /** Brings the buyer back to their basket: as good as a key to it, never logged. */
  recoveryUrl: z.string().max(4_096).nullable(),
  completedAt: Timestamp.nullable(),
  startedAt: Timestamp.nullable(),
  note: z.string().max(2_000).nullable(),
  shippingAddress: ShopAddress.nullable(),
  ...shopLines,
  truncated: Truncated,
})
export type ShopCheckout = z.infer<typeof ShopCheckout>

/** Since 2026-07 the totals, tags and consents of a customer come on topics of their own: null or absent means "not told here". */
export const ShopCustomer = z.object({
  email: z.string().max(320).nullable(),
  phone: z.string().max(64).nullable(),
  firstName: z.string().max(255).nullable(),
  lastName: z.string().max(255).nullable(),
  state: z.string().max(64).nullable(),
  note: z.string().max(2_000).nullable(),
  tags: z.array(z.string().max(255)).max(500).nullable(),
  ordersCount: z.int().min(0).nullable(),
  totalSpent: DecimalText.nullable(),
  currency: Currency.nullable(),
  lastOrderId: ExternalId.nullable(),
  /** The shop's words (subscribed, not_subscribed, pending…) per channel. */
  emailConsent: z.string().max(64).nullable(),
  smsConsent: z.string().max(64).nullable(),
  whatsappConsent: z.string().max(64).nullable(),
  address: ShopAddress.nullable(),
  truncated: Truncated,
})
export type ShopCustomer = z.infer<typeof ShopCustomer>
