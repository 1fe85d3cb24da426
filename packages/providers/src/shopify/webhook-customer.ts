import { type DataOf, type ShopCustomer, shopCustomerChanged } from '@parley/contracts'
import { count, currency, Cuts, decimalText, type Fields, fields, isoToUtc, text } from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import { address, contentKey, plainId, refuseOtherKind, shopFields, shopKey, tagsOf, type TopicReader } from './webhook-common.ts'

type Change = DataOf<typeof shopCustomerChanged>['change']

/**
 * A customer, or a side of one. Since 2026-07 tags, totals and consents come on topics of their own, one of them in camelCase
 * with gids (providers.md §3): each reader names the fields of its form, the rest stays null for "not told here".
 */
export function customerTopic(change: Change, read: (body: Fields) => ShopCustomer | null): TopicReader {
  return (delivery, body) => {
    refuseOtherKind(delivery, body, change === 'deleted' ? 'Deletion' : 'Customer', 'Customer')
    const customerId =
      plainId(body.customer_id) ?? plainId(body.customerId) ?? plainId(body.id) ?? plainId(body.admin_graphql_api_id)
    const shopCustomerKey = customerId === null ? null : shopKey(delivery, customerId)
    if (customerId === null || shopCustomerKey === null) {
      return unrecognised(delivery, contentKey(delivery, 'no-id'), 'A customer without an id.')
    }
    const at = shopFields(delivery, body)
    return emittedIfItFits(delivery, contentKey(delivery, customerId), shopCustomerChanged, {
      ...at,
      updatedAt: at.updatedAt ?? isoToUtc(body.occurredAt) ?? consentTime(body),
      shopCustomerKey,
      customerId,
      change,
      customer: read(body),
    })
  }
}

const untold: ShopCustomer = {
  email: null,
  phone: null,
  firstName: null,
  lastName: null,
  state: null,
  note: null,
  tags: null,
  ordersCount: null,
  totalSpent: null,
  currency: null,
  lastOrderId: null,
  emailConsent: null,
  smsConsent: null,
  whatsappConsent: null,
  address: null,
}

export function wholeCustomer(body: Fields): ShopCustomer {
  const cuts = new Cuts()
  const customer = {
    email: text(body.email, 320),
    phone: text(body.phone, 64),
    firstName: text(body.first_name, 255),
    lastName: text(body.last_name, 255),
    state: text(body.state, 64),
    note: cuts.text('note', body.note, 2_000),
    tags: body.tags === undefined ? null : tagsOf(cuts, body.tags),
    ordersCount: count(body.orders_count),
    totalSpent: decimalText(body.total_spent),
    currency: currency(body.currency),
    lastOrderId: plainId(body.last_order_id),
    ...consents(body),
    address: address(body.default_address),
  }
  return { ...customer, ...cuts.said() }
}

export function consentOnly(body: Fields): ShopCustomer {
  return {
    ...untold,
    email: text(body.email_address, 320) ?? text(body.email, 320),
    phone: text(body.phone_number, 64) ?? text(body.phone, 64),
    ...consents(body),
  }
}

function consents(body: Fields) {
  return {
    emailConsent: text(fields(body.email_marketing_consent).state, 64),
    smsConsent: text(fields(body.sms_marketing_consent).state, 64),
    whatsappConsent: text(fields(body.whats_app_marketing_consent).state, 64),
  }
}

/** When the consent that a topic is about changed. Published samples say null. */
function consentTime(body: Fields): string | null {
  const { email_marketing_consent: email, sms_marketing_consent: sms, whats_app_marketing_consent: whatsapp } = body
  return isoToUtc(fields(email ?? sms ?? whatsapp).consent_updated_at)
}

/** The tags are those added or removed, not all of them. */
export function tagsOnly(body: Fields): ShopCustomer {
  const cuts = new Cuts()
  const tags = tagsOf(cuts, body.tags)
  return { ...untold, tags, ...cuts.said() }
}

export function totalsOnly(body: Fields): ShopCustomer {
  const spent = fields(body.amountSpent)
  return {
    ...untold,
    ordersCount: count(body.numberOfOrders),
    totalSpent: decimalText(spent.amount),
    currency: currency(spent.currencyCode) ?? currency(spent.currency_code),
    lastOrderId: plainId(body.lastOrderId) ?? plainId(fields(body.lastOrder).id),
  }
}

export function nothingLeft(): null {
  return null
}
