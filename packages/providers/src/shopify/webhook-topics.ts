import { unused } from '../webhook/items.ts'
import { checkoutTopic } from './webhook-checkout.ts'
import { repeatableKey, type TopicReader } from './webhook-common.ts'
import { consentOnly, customerTopic, nothingLeft, tagsOnly, totalsOnly, wholeCustomer } from './webhook-customer.ts'
import { orderDeleted, orderEdited, orderTopic } from './webhook-order.ts'
import { appUninstalled, customerRedacted, dataRequested, shopRedacted } from './webhook-privacy.ts'
import { productTopic } from './webhook-product.ts'
import { refundCreated } from './webhook-refund.ts'
import { returnTopic, reverseTopic } from './webhook-return.ts'

const ofNoUse: TopicReader = (delivery) => unused(repeatableKey(delivery, 'unused'), `${delivery.topic} is not used.`)

/** Every topic we subscribe to (providers.md §3). */
const readers: ReadonlyMap<string, TopicReader> = new Map([
  ['orders/create', orderTopic('created')],
  ['orders/updated', orderTopic('updated')],
  ['orders/cancelled', orderTopic('cancelled')],
  ['orders/paid', orderTopic('paid')],
  ['orders/partially_fulfilled', orderTopic('partially_fulfilled')],
  ['orders/fulfilled', orderTopic('fulfilled')],
  ['orders/edited', orderEdited],
  ['orders/delete', orderDeleted],
  ['checkouts/create', checkoutTopic('checkout', 'created')],
  ['checkouts/update', checkoutTopic('checkout', 'updated')],
  ['checkouts/delete', checkoutTopic('checkout', 'deleted')],
  ['carts/create', checkoutTopic('cart', 'created')],
  ['carts/update', checkoutTopic('cart', 'updated')],
  ['products/create', productTopic('created')],
  ['products/update', productTopic('updated')],
  ['products/delete', productTopic('deleted')],
  ['customers/create', customerTopic('created', wholeCustomer)],
  ['customers/update', customerTopic('updated', wholeCustomer)],
  ['customers/enable', customerTopic('enabled', wholeCustomer)],
  ['customers/disable', customerTopic('disabled', wholeCustomer)],
  ['customers/delete', customerTopic('deleted', nothingLeft)],
  ['customers/purchasing_summary', customerTopic('summary_changed', totalsOnly)],
  ['customer.tags_added', customerTopic('tags_added', tagsOnly)],
  ['customer.tags_removed', customerTopic('tags_removed', tagsOnly)],
  ['customers_email_marketing_consent/update', customerTopic('consent_changed', consentOnly)],
  ['customers_marketing_consent/update', customerTopic('consent_changed', consentOnly)],
  ['customers_whatsapp_marketing_consent/update', customerTopic('consent_changed', consentOnly)],
  ['refunds/create', refundCreated],
  ['returns/request', returnTopic('requested')],
  ['returns/approve', returnTopic('approved')],
  ['returns/decline', returnTopic('declined')],
  ['returns/cancel', returnTopic('cancelled')],
  ['returns/close', returnTopic('closed')],
  ['returns/reopen', returnTopic('reopened')],
  ['returns/update', returnTopic('updated')],
  ['reverse_deliveries/attach_deliverable', reverseTopic('shipment_attached')],
  ['reverse_fulfillment_orders/dispose', reverseTopic('disposed')],
  ['bulk_operations/finish', ofNoUse],
  ['app/scopes_update', ofNoUse],
  ['app_subscriptions/update', ofNoUse],
  ['app/uninstalled', appUninstalled],
  ['customers/data_request', dataRequested],
  ['customers/redact', customerRedacted],
  ['shop/redact', shopRedacted],
])

export function readerOf(topic: string): TopicReader | undefined {
  return readers.get(topic)
}

export const shopifyTopics: readonly string[] = [...readers.keys()]
