import { type DataOf, type ShopOrder, shopOrderChanged } from '@parley/contracts'
import { currency, Cuts, decimalText, type Fields, fields, isoToUtc, list, text, word } from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import {
  address,
  bytesBesideLines,
  contentKey,
  customerRef,
  linesBeside,
  plainId,
  refuseOtherKind,
  resourceId,
  shopFields,
  shopKey,
  tagsOf,
  textsOf,
  type TopicReader,
} from './webhook-common.ts'

type Change = DataOf<typeof shopOrderChanged>['change']

/** orders/create, updated, paid and so on: the whole order. It may be born cancelled, without customer, phone or variants. */
export function orderTopic(change: Change): TopicReader {
  return (delivery, body) => {
    refuseOtherKind(delivery, body, 'Order')
    const orderId = resourceId(body)
    const shopOrderKey = orderId === null ? null : shopKey(delivery, orderId)
    if (orderId === null || shopOrderKey === null)
      return unrecognised(delivery, contentKey(delivery, 'no-id'), 'An order without an id.')
    if (!Array.isArray(body.line_items))
      return unrecognised(delivery, contentKey(delivery, orderId), 'An order without line_items.')
    const shell = orderBesideLines(body)
    const data = { ...shopFields(delivery, body), shopOrderKey, orderId, change }
    const order: ShopOrder = { ...shell, ...linesBeside(bytesBesideLines({ ...data, shell }), body.line_items) }
    return emittedIfItFits(
      delivery,
      contentKey(delivery, orderId),
      shopOrderChanged,
      { ...data, order },
      { ...data, order: null },
    )
  }
}

/** orders/edited wraps the ids of what changed and does not tell the result: the order must be read again. */
export const orderEdited: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Order')
  const edit = fields(body.order_edit)
  const orderId = plainId(edit.order_id)
  const shopOrderKey = orderId === null ? null : shopKey(delivery, orderId)
  if (orderId === null || shopOrderKey === null)
    return unrecognised(delivery, contentKey(delivery, 'no-id'), 'An edit without order_id.')
  return emittedIfItFits(delivery, contentKey(delivery, orderId), shopOrderChanged, {
    ...shopFields(delivery, edit),
    shopOrderKey,
    orderId,
    change: 'edited',
    order: null,
  })
}

export const orderDeleted: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Deletion', 'Order')
  const orderId = resourceId(body)
  const shopOrderKey = orderId === null ? null : shopKey(delivery, orderId)
  if (orderId === null || shopOrderKey === null)
    return unrecognised(delivery, contentKey(delivery, 'no-id'), 'A deletion without an id.')
  return emittedIfItFits(delivery, contentKey(delivery, orderId), shopOrderChanged, {
    ...shopFields(delivery, body),
    shopOrderKey,
    orderId,
    change: 'deleted',
    order: null,
  })
}

type BesideLines = Omit<ShopOrder, 'lines' | 'lineCount' | 'linesTruncated'>

function orderBesideLines(body: Fields): BesideLines {
  const cuts = new Cuts()
  const shell = {
    name: text(body.name, 255),
    number: word(body.order_number ?? body.number, 64),
    customer: customerRef(body.customer),
    email: text(body.email, 320) ?? text(body.contact_email, 320),
    phone: text(body.phone, 64),
    currency: currency(body.currency),
    presentmentCurrency: currency(body.presentment_currency),
    subtotalPrice: decimalText(body.subtotal_price),
    totalDiscounts: decimalText(body.total_discounts),
    totalShipping: decimalText(fields(fields(body.total_shipping_price_set).shop_money).amount),
    totalTax: decimalText(body.total_tax),
    totalPrice: decimalText(body.total_price),
    totalOutstanding: decimalText(body.total_outstanding),
    financialStatus: text(body.financial_status, 64),
    fulfillmentStatus: text(body.fulfillment_status, 64),
    gatewayNames: textsOf(cuts, 'gatewayNames', list(body.payment_gateway_names), 100),
    cancelledAt: isoToUtc(body.cancelled_at),
    cancelReason: text(body.cancel_reason, 64),
    closedAt: isoToUtc(body.closed_at),
    test: body.test === true || body.test === 'true',
    sourceName: text(body.source_name, 64),
    cartToken: text(body.cart_token, 255),
    checkoutToken: text(body.checkout_token, 255),
    note: cuts.text('note', body.note, 2_000),
    tags: tagsOf(cuts, body.tags),
    discountCodes: textsOf(
      cuts,
      'discountCodes',
      list(body.discount_codes).map((discount) => fields(discount).code),
      250,
    ),
    shippingAddress: address(body.shipping_address),
    billingAddress: address(body.billing_address),
    orderedAt: isoToUtc(body.created_at),
  }
  return { ...shell, ...cuts.said() }
}
