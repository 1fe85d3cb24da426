import { type DataOf, type ShopCheckout, shopCheckoutChanged } from '@parley/contracts'
import { currency, Cuts, decimalText, type Fields, isoToUtc, text } from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import {
  address,
  bytesBesideLines,
  contentKey,
  customerRef,
  linesBeside,
  plainId,
  refuseOtherKind,
  shopFields,
  shopKey,
  type TopicReader,
} from './webhook-common.ts'

type Change = DataOf<typeof shopCheckoutChanged>['change']

/**
 * Checkouts go by their token (since 2026-07 they have no id), carts by the token that they call id. A deleted checkout has
 * an id and the cart's token only (providers.md §3): it is ordered by the id, and found by the cart.
 */
export function checkoutTopic(kind: 'checkout' | 'cart', change: Change): TopicReader {
  return (delivery, body) => {
    if (kind === 'cart') refuseOtherKind(delivery, body, 'Cart')
    else refuseOtherKind(delivery, body, change === 'deleted' ? 'Deletion' : 'Checkout')
    const ids = idsOf(kind, body)
    const known = ids.token ?? ids.checkoutId ?? ids.cartToken
    const shopCheckoutKey = known === null ? null : shopKey(delivery, known)
    if (known === null || shopCheckoutKey === null)
      return unrecognised(delivery, contentKey(delivery, 'no-id'), `A ${kind} without a token.`)
    const data = { ...shopFields(delivery, body), shopCheckoutKey, kind, ...ids, change }
    const checkout = change === 'deleted' ? null : wholeCheckout(body, data)
    return emittedIfItFits(
      delivery,
      contentKey(delivery, known),
      shopCheckoutChanged,
      { ...data, checkout },
      { ...data, checkout: null },
    )
  }
}

function idsOf(kind: 'checkout' | 'cart', body: Fields) {
  if (kind === 'cart') {
    const token = plainId(body.token) ?? plainId(body.id)
    return { token, checkoutId: null, cartToken: token }
  }
  return { token: plainId(body.token), checkoutId: plainId(body.id), cartToken: plainId(body.cart_token) }
}

function wholeCheckout(body: Fields, data: unknown): ShopCheckout {
  const cuts = new Cuts()
  const fieldsBeside = {
    customer: customerRef(body.customer),
    email: text(body.email, 320),
    phone: text(body.phone, 64) ?? text(body.sms_marketing_phone, 64),
    currency: currency(body.currency) ?? currency(body.presentment_currency),
    subtotalPrice: decimalText(body.subtotal_price),
    totalPrice: decimalText(body.total_price),
    recoveryUrl: recoveryUrl(body.abandoned_checkout_url),
    completedAt: isoToUtc(body.completed_at),
    startedAt: isoToUtc(body.created_at),
    note: cuts.text('note', body.note, 2_000),
    shippingAddress: address(body.shipping_address),
  }
  const shell = { ...fieldsBeside, ...cuts.said() }
  return { ...shell, ...linesBeside(bytesBesideLines({ data, shell }), body.line_items) }
}

/** A cut address leads nowhere, and another scheme has no business here. */
function recoveryUrl(value: unknown): string | null {
  return typeof value === 'string' && value.length <= 4_096 && value.startsWith('https://') ? value : null
}
