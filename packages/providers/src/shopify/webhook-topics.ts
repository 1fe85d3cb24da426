import { unused } from '../webhook/items.ts'
import { checkoutTopic } from './webhook-checkout.ts'
import { demandTopic, repeatableKey, stateTopic, stepTopic, type TopicReader } from './webhook-common.ts'
import { consentOnly, customerTopic, nothingLeft, tagsOnly, totalsOnly, wholeCustomer } from './webhook-customer.ts'
import { orderDeleted, orderEdited, orderTopic } from './webhook-order.ts'
import { appUninstalled, customerRedacted, dataRequested, shopRedacted } from './webhook-privacy.ts'
import { productTopic } from './webhook-product.ts'
import { refundCreated } from './webhook-refund.ts'
import { returnTopic, reverseTopic } from './webhook-return.ts'

const ofNoUse: TopicReader = (delivery) => unused(repeatableKey(delivery, 'unused'), `${delivery.topic} is not used.`)

/** Every topic we subscribe to (providers.md §3). */
const readers: ReadonlyMap<string, TopicReader> = new Map([
  ['orders/create', stateTopic('order', orderTopic('created'))],
  ['orders/updated', stateTopic('order', orderTopic('updated'))],
  ['orders/cancelled', stateTopic('order', orderTopic('cancelled'))],
  ['orders/paid', stateTopic('order', orderTopic('paid'))],
  ['orders/partially_fulfilled', stateTopic('order', orderTopic('partially_fulfilled'))],
  ['orders/fulfilled', stateTopic('order', orderTopic('fulfilled'))],
  ['orders/edited', orderEdited],
  ['orders/delete', orderDeleted],
  ['checkouts/create', stateTopic('checkout', checkoutTopic('checkout', 'created'))],
  ['checkouts/update', stateTopic('checkout', checkoutTopic('checkout', 'updated'))],
  ['checkouts/delete', checkoutTopic('checkout', 'deleted')],
  ['carts/create', stateTopic('cart', checkoutTopic('cart', 'created'))],
  ['carts/update', stateTopic('cart', checkoutTopic('cart', 'updated'))],
  ['products/create', stateTopic('product', productTopic('created'))],
  ['products/update', stateTopic('product', productTopic('updated'))],
  ['products/delete', productTopic('deleted')],
  ['customers/create', stateTopic('customer', customerTopic('created', wholeCustomer))],
  ['customers/update', stateTopic('customer', customerTopic('updated', wholeCustomer))],
  ['customers/enable', stateTopic('customer', customerTopic('enabled', wholeCustomer))],
  ['customers/disable', stateTopic('customer', customerTopic('disabled', wholeCustomer))],
  ['customers/delete', customerTopic('deleted', nothingLeft)],
  ['customers/purchasing_summary', stateTopic('totals', customerTopic('summary_changed', totalsOnly))],
  ['customer.tags_added', stateTopic('tags', customerTopic('tags_added', tagsOnly))],
  ['customer.tags_removed', stateTopic('tags', customerTopic('tags_removed', tagsOnly))],
  ['customers_email_marketing_consent/update', stateTopic('consent:email', customerTopic('consent_changed', consentOnly))],
  ['customers_marketing_consent/update', stateTopic('consent:sms', customerTopic('consent_changed', consentOnly))],
  [
    'customers_whats_app_marketing_consent/update',
    stateTopic('consent:whats_app', customerTopic('consent_changed', consentOnly)),
  ],
  ['refunds/create', refundCreated],
  ['returns/request', stepTopic('return', returnTopic('requested'))],
  ['returns/approve', stepTopic('return', returnTopic('approved'))],
  ['returns/decline', stepTopic('return', returnTopic('declined'))],
  ['returns/cancel', stepTopic('return', returnTopic('cancelled'))],
  ['returns/close', stepTopic('return', returnTopic('closed'))],
  ['returns/reopen', stepTopic('return', returnTopic('reopened'))],
  ['returns/update', stepTopic('return', returnTopic('updated'))],
  ['reverse_deliveries/attach_deliverable', stepTopic('return', reverseTopic('shipment_attached'))],
  ['reverse_fulfillment_orders/dispose', stepTopic('return', reverseTopic('disposed'))],
  ['bulk_operations/finish', ofNoUse],
  ['app/scopes_update', ofNoUse],
  ['app_subscriptions/update', ofNoUse],
  ['app/uninstalled', demandTopic(appUninstalled)],
  ['customers/data_request', demandTopic(dataRequested)],
  ['customers/redact', demandTopic(customerRedacted)],
  ['shop/redact', demandTopic(shopRedacted)],
])

export function readerOf(topic: string): TopicReader | undefined {
  return readers.get(topic)
}

export const shopifyTopics: readonly string[] = [...readers.keys()]
