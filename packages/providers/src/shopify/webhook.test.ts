import {
  privacyRequested,
  shopCheckoutChanged,
  shopCustomerChanged,
  shopOrderChanged,
  shopProductChanged,
  shopRefundChanged,
  shopReturnChanged,
  shopUninstalled,
} from '@parley/contracts'
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { BodyError, parseJson } from '@parley/contracts/json'
import { openWebhook, ShapeError, type WebhookHeaders } from '../webhook/index.ts'
import { jsonBytes } from '../webhook/fields.ts'
import { normalised, only, receivedAt, typesOf } from '../webhook/testing.ts'
import { shopifyWebhook } from './webhook.ts'
import { shopifyTopics } from './webhook-topics.ts'

const shop = 'shop-a.myshopify.com'
const secrets = { signing: ['current', 'previous'], accountId: shop }

const send = (topic: string, body: unknown, headers: WebhookHeaders = {}) =>
  normalised(shopifyWebhook, body, { accountId: shop, headers: { 'x-shopify-topic': topic, ...headers } })

const order = {
  id: '820982911946154508',
  admin_graphql_api_id: 'gid://shopify/Order/820982911946154508',
  name: '#1001',
  order_number: 1001,
  email: 'a@b.fr',
  phone: null,
  currency: 'EUR',
  total_price: '398.00',
  financial_status: 'pending',
  payment_gateway_names: ['Cash on Delivery (COD)'],
  updated_at: '2026-09-30T08:00:00-04:00',
  customer: { id: '115310627314723960', email: 'a@b.fr', phone: '+33612345678', first_name: 'Ana', last_name: null },
  line_items: [{ id: 1, product_id: 7, variant_id: null, sku: '', title: 'Crème', quantity: 2, price: '199.00', properties: [] }],
}

describe('who sent it', () => {
  const body = '{"id": 820982911946154508}'
  const sign = (text: string | Buffer, key = 'current') => createHmac('sha256', key).update(text).digest('base64')
  const verdict = (text: string | Buffer, headers: WebhookHeaders, accountId: string | null = shop) =>
    shopifyWebhook.verify(
      { headers: { 'x-shopify-shop-domain': shop, ...headers }, rawBody: Buffer.from(text), receivedAt },
      { ...secrets, accountId },
    )
  const signed = (text: string, signature: string | string[] = sign(text)) =>
    verdict(text, { 'x-shopify-hmac-sha256': signature })

  test('the current secret and, within an hour of a rotation, the previous one are accepted', () => {
    expect(signed(body)).toEqual({ ok: true })
    expect(signed(body, sign(body, 'previous'))).toEqual({ ok: true })
    expect(signed(body, sign(body, 'older'))).toMatchObject({ status: 401, reason: 'signature_wrong' })
  })

  test('an empty secret opens nothing', () => {
    const headers = { 'x-shopify-shop-domain': shop, 'x-shopify-hmac-sha256': sign(body, '') }
    const request = { headers, rawBody: Buffer.from(body), receivedAt }
    expect(shopifyWebhook.verify(request, { ...secrets, signing: [''] })).toMatchObject({ status: 401 })
  })

  test('the newer header names are preferred', () => {
    expect(verdict(body, { 'shopify-hmac-sha256': sign(body), 'x-shopify-hmac-sha256': 'old' })).toEqual({ ok: true })
  })

  const right = sign(body)
  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['hex', createHmac('sha256', 'current').update(body).digest('hex')],
    ['a line end behind it', `${right}\n`],
    ['a blank inside', `${right.slice(0, 20)} ${right.slice(20)}`],
    ['no padding', right.replace('=', '')],
    ['base64url', right.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')],
    ['too few bytes', Buffer.from('short').toString('base64')],
    ['too many bytes', Buffer.concat([Buffer.from(right, 'base64'), Buffer.from('x')]).toString('base64')],
    ['two joined by a comma', `${right}, ${right}`],
    ['two headers', [right, right]],
    ['another spelling of the same bytes', respelt(right)],
  ])('a signature that is %s is refused', (_what, signature) => {
    expect(verdict(body, { 'x-shopify-hmac-sha256': signature })).toMatchObject({ ok: false, status: 401 })
  })

  test('one byte more or less, other blanks, or a byte order mark break the signature', () => {
    for (const changed of ['{"id": 820982911946154509}', '{"id":820982911946154508}', `\ufeff${body}`, `${body}\n`]) {
      expect(signed(changed, sign(body))).toMatchObject({ status: 401 })
    }
  })

  test('an empty body is refused even with the right signature', () => {
    expect(signed('')).toMatchObject({ status: 401, reason: 'body_empty' })
  })

  test('a delivery under the name of another shop is refused, as is one for a source without a shop', () => {
    expect(verdict(body, { 'x-shopify-hmac-sha256': sign(body), 'x-shopify-shop-domain': 'shop-b.myshopify.com' })).toMatchObject(
      { status: 401, reason: 'other_shop' },
    )
    expect(verdict(body, { 'x-shopify-hmac-sha256': sign(body) }, null)).toMatchObject({ status: 403 })
    expect(verdict(body, { 'x-shopify-hmac-sha256': sign(body), 'x-shopify-shop-domain': 'SHOP-A.myshopify.com' })).toEqual({
      ok: true,
    })
  })

  test('a signed body that names another shop is refused whatever the header says', () => {
    const redact = JSON.stringify({ shop_id: 1, shop_domain: 'shop-b.myshopify.com' })
    const headers = { 'x-shopify-hmac-sha256': sign(redact), 'x-shopify-shop-domain': shop }
    expect(openWebhook(shopifyWebhook, { headers, rawBody: Buffer.from(redact), receivedAt }, secrets)).toEqual({
      verdict: { ok: false, status: 403, reason: 'body_of_other_shop' },
    })
    expect(shopifyWebhook.checkAccount({ myshopify_domain: 'shop-b.myshopify.com' }, secrets)).toMatchObject({ status: 403 })
    expect(shopifyWebhook.checkAccount({ myshopify_domain: null }, secrets)).toEqual({ ok: true })
  })

  test('nothing is parsed before it is verified', () => {
    const request = {
      headers: { 'x-shopify-hmac-sha256': sign('{}'), 'x-shopify-shop-domain': shop },
      rawBody: Buffer.from('{"__proto__":1}'),
      receivedAt,
    }
    expect(openWebhook(shopifyWebhook, request, secrets).verdict).toMatchObject({ status: 401 })
    const signedPoison = { ...request, headers: { ...request.headers, 'x-shopify-hmac-sha256': sign('{"__proto__":1}') } }
    expect(() => openWebhook(shopifyWebhook, signedPoison, secrets)).toThrow(BodyError)
  })
})

/** The last character of base64 of 32 bytes has two idle bits: setting one gives other text for the same bytes. */
function respelt(signature: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const last = alphabet[alphabet.indexOf(signature[42] ?? '') + 1] ?? ''
  const other = `${signature.slice(0, 42)}${last}=`
  expect(Buffer.from(other, 'base64').equals(Buffer.from(signature, 'base64'))).toBe(true)
  return other
}

describe('duplicates and replays', () => {
  const keyOf = (topic: string, body: unknown, headers: WebhookHeaders = {}) => send(topic, body, headers).items[0]?.dedupeKey

  test('a captured delivery under a new webhook id and event id is the same fact', () => {
    const first = keyOf('orders/updated', order, { 'x-shopify-webhook-id': 'w1', 'x-shopify-event-id': 'e1' })
    expect(keyOf('orders/updated', order, { 'x-shopify-webhook-id': 'w2', 'x-shopify-event-id': 'e2' })).toBe(first)
    expect(keyOf('orders/updated', { ...order, updated_at: '2026-09-30T08:00:01-04:00' })).not.toBe(first)
  })

  test('a return closed a second time is news although its body is the same', () => {
    const body = { id: 5, admin_graphql_api_id: 'gid://shopify/Return/5', order_id: 9, status: 'closed' }
    expect(keyOf('returns/close', body, { 'x-shopify-event-id': 'e1' })).not.toBe(
      keyOf('returns/close', body, { 'x-shopify-event-id': 'e2' }),
    )
  })
})

describe('a body under the wrong topic', () => {
  const customerErasure = { shop_id: 1, shop_domain: shop, customer: { id: 7, email: 'a@b.fr' }, orders_to_redact: [1] }
  const dataRequest = { shop_id: 1, shop_domain: shop, customer: { id: 7 }, orders_requested: [1], data_request: { id: 9 } }

  test.each([
    ['customers/redact', order],
    ['customers/redact', dataRequest],
    ['customers/redact', { shop_id: 1, shop_domain: shop }],
    ['customers/redact', { shop_id: 1, shop_domain: shop, customer: {} }],
    ['customers/redact', 'text'],
    ['customers/redact', { customer: { id: 7 } }],
    ['customers/data_request', customerErasure],
    ['shop/redact', customerErasure],
    ['shop/redact', { id: 1, myshopify_domain: shop }],
    ['shop/redact', {}],
    ['app/uninstalled', order],
    ['app/uninstalled', { shop_id: 1, shop_domain: shop }],
    ['app/uninstalled', { id: 1 }],
    ['orders/delete', order],
    ['orders/delete', { id: 7, admin_graphql_api_id: 'gid://shopify/Customer/7' }],
    ['orders/cancelled', { id: 7, admin_graphql_api_id: 'gid://shopify/Product/7', line_items: [] }],
    ['customers/delete', { id: 7, first_name: 'Ana' }],
    ['customers/update', order],
    ['products/delete', { id: 1, variants: [] }],
    ['refunds/create', order],
    ['returns/close', order],
    ['carts/update', order],
    ['orders/create', null],
  ])('%s with %j is refused as a whole', (topic, body) => {
    expect(() => send(topic, body)).toThrow(ShapeError)
  })

  test('what merely lacks its fields does no harm and is kept, so that no subscription is lost over it', () => {
    expect(typesOf(send('orders/updated', { id: 7 }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(send('orders/updated', { line_items: [] }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(send('products/update', { id: 7 }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(send('refunds/create', { id: 7 }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(send('toString', { id: 7 }))).toEqual(['webhook.unrecognised'])
    expect(typesOf(normalised(shopifyWebhook, {}, { accountId: shop }))).toEqual(['webhook.unrecognised'])
  })
})

describe('orders', () => {
  test('an order says all that later steps decide on', () => {
    expect(
      only(send('orders/create', order, { 'x-shopify-triggered-at': '2026-09-30T12:00:01.5Z' }), shopOrderChanged),
    ).toMatchObject({
      shopOrderKey: `${shop}:820982911946154508`,
      shop,
      orderId: '820982911946154508',
      change: 'created',
      updatedAt: '2026-09-30T12:00:00.000Z',
      triggeredAt: '2026-09-30T12:00:01.500Z',
      order: {
        name: '#1001',
        number: '1001',
        customer: { customerId: '115310627314723960', phone: '+33612345678', lastName: null },
        currency: 'EUR',
        totalPrice: '398.00',
        financialStatus: 'pending',
        gatewayNames: ['Cash on Delivery (COD)'],
        lines: [{ lineItemId: '1', productId: '7', variantId: null, sku: null, quantity: 2, price: '199.00' }],
        lineCount: 1,
        linesTruncated: false,
      },
    })
  })

  test('ids beyond 2^53 keep every digit from the bytes to the event', () => {
    const { value } = parseJson(
      Buffer.from(
        '{"id":820982911946154509,"line_items":[{"id":866550311766439021,"quantity":1}],"customer":{"id":115310627314723955}}',
      ),
    )
    const data = only(send('orders/updated', value), shopOrderChanged)
    expect([data.orderId, data.order?.lines[0]?.lineItemId, data.order?.customer?.customerId]).toEqual([
      '820982911946154509',
      '866550311766439021',
      '115310627314723955',
    ])
  })

  test('no customer, an empty e-mail, empty gateways and a born cancellation are facts too', () => {
    const odd = {
      ...order,
      customer: undefined,
      email: '',
      payment_gateway_names: [''],
      cancelled_at: '2026-09-30T12:00:00Z',
      financial_status: 'voided',
    }
    expect(only(send('orders/create', odd), shopOrderChanged).order).toMatchObject({
      customer: null,
      email: null,
      gatewayNames: [],
      cancelledAt: '2026-09-30T12:00:00.000Z',
    })
    const guest = { ...order, customer: { id: null, email: 'x@y.fr' } }
    expect(only(send('orders/create', guest), shopOrderChanged).order?.customer).toMatchObject({
      customerId: null,
      email: 'x@y.fr',
    })
  })

  test.each([
    [
      [
        { name: 'Gravure', value: 'Ana' },
        { name: 'Taille', value: 3 },
      ],
      [
        { name: 'Gravure', value: 'Ana' },
        { name: 'Taille', value: '3' },
      ],
    ],
    [
      { Gravure: 'Ana', Emballage: true },
      [
        { name: 'Gravure', value: 'Ana' },
        { name: 'Emballage', value: 'true' },
      ],
    ],
    [{ name: 'Gravure', value: 'Ana' }, [{ name: 'Gravure', value: 'Ana' }]],
    [{}, []],
    [null, []],
    [undefined, []],
    ['text', []],
    [[{ name: 2 }, 7, null], []],
  ])('line properties %j are read', (properties, expected) => {
    const [line] = only(send('orders/create', { ...order, line_items: [{ properties }] }), shopOrderChanged).order?.lines ?? []
    expect(line?.properties).toEqual(expected)
  })

  test('an order of hundreds of lines fits one event and says that it was cut', () => {
    const lines = (n: number) =>
      Array.from({ length: n }, (_, i) => ({
        id: i,
        title: 'Crème hydratante '.repeat(10),
        sku: `sku-${i}`,
        quantity: 1,
        price: '1.00',
      }))
    const long = only(send('orders/create', { ...order, line_items: lines(450) }), shopOrderChanged)
    expect(long.order).toMatchObject({ lineCount: 450, linesTruncated: true })
    expect(long.order?.lines.length).toBeGreaterThan(80)
    const wide = only(
      send('orders/create', {
        ...order,
        line_items: lines(200).map((line) => ({ ...line, properties: { a: '€'.repeat(500) } })),
      }),
      shopOrderChanged,
    )
    expect(jsonBytes(wide)).toBeGreaterThan(50_000)
    expect(only(send('orders/create', { ...order, line_items: lines(90) }), shopOrderChanged).order).toMatchObject({
      lineCount: 90,
      linesTruncated: false,
    })
  })

  test('lists that fit are told whole, and what is cut says so', () => {
    const many = (n: number, wide = '') => Array.from({ length: n }, (_, i) => `${wide}${i}`)
    const line = { id: 1, quantity: 1, properties: many(45).map((name) => ({ name, value: 'x' })) }
    const body = { ...order, tags: many(200).join(', '), discount_codes: many(25).map((code) => ({ code })), line_items: [line] }
    const told = only(send('orders/create', body), shopOrderChanged).order
    expect([told?.tags.length, told?.discountCodes.length, told?.lines[0]?.properties.length]).toEqual([200, 25, 45])
    expect([told?.truncated, told?.lines[0]?.propertiesTruncated]).toEqual([undefined, undefined])
    const wide = { ...order, tags: many(200, 'é'.repeat(200)), note: 'n'.repeat(5_000) }
    expect(only(send('orders/create', wide), shopOrderChanged).order?.truncated).toEqual(['note', 'tags'])
    const long = { ...order, line_items: [{ properties: { Gravure: 'x'.repeat(600) } }] }
    expect(only(send('orders/create', long), shopOrderChanged).order?.lines[0]?.propertiesTruncated).toBe(true)
  })

  test.each([
    ['3', 3],
    [3, 3],
    [0, 0],
    [undefined, null],
    [null, null],
    ['three', null],
    [1.5, null],
    [{}, null],
  ])('a quantity of %j is told as %j, and unknown is never none', (quantity, expected) => {
    expect(
      only(send('orders/create', { ...order, line_items: [{ quantity }] }), shopOrderChanged).order?.lines[0]?.quantity,
    ).toBe(expected)
    const refund = { id: 1, order_id: 2, refund_line_items: [{ line_item_id: 1, quantity }] }
    expect(send('refunds/create', refund).items[0]?.event?.data).toMatchObject({ lines: [{ quantity: expected }] })
  })

  test('a product of more variants than come in full is not told as complete', () => {
    const ids = Array.from({ length: 150 }, (_, i) => ({ admin_graphql_api_id: `gid://shopify/ProductVariant/${i + 1}` }))
    const body = { id: 1, variants: ids.slice(0, 100).map((_, i) => ({ id: i + 1 })), variant_gids: ids }
    const data = send('products/update', body).items[0]?.event?.data
    expect(data).toMatchObject({ product: { variantCount: 150, variantsTruncated: true } })
  })

  test('an order that no cut brings below the size of an event is told by its id, to be read', () => {
    const wide = '\u0001'.repeat(512)
    const address = Object.fromEntries(
      'name company address1 address2 city province country'.split(' ').map((key) => [key, wide]),
    )
    const body = { ...order, note: wide.repeat(4), shipping_address: address, billing_address: address, tags: [wide, wide, wide] }
    const data = only(
      send('orders/create', {
        ...body,
        discount_codes: Array(9).fill({ code: wide }),
        payment_gateway_names: Array(9).fill(wide),
      }),
      shopOrderChanged,
    )
    expect(data).toMatchObject({ orderId: '820982911946154508', order: null })
  })

  test('a body of a real order with 450 lines is within the limits of the parser', () => {
    const set = {
      shop_money: { amount: '1.00', currency_code: 'EUR' },
      presentment_money: { amount: '1.00', currency_code: 'EUR' },
    }
    const line = {
      id: 1,
      quantity: 1,
      ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, null])),
      a: set,
      b: set,
      c: set,
      d: set,
    }
    const body = Buffer.from(JSON.stringify({ ...order, line_items: Array.from({ length: 450 }, () => line) }))
    expect(() => parseJson(body, shopifyWebhook.limits)).not.toThrow()
  })

  test('an edited and a deleted order are known by id only', () => {
    const edited = { order_edit: { id: 78, order_id: 820_982_911, line_items: { additions: [], removals: [] } } }
    expect(only(send('orders/edited', edited), shopOrderChanged)).toMatchObject({
      change: 'edited',
      orderId: '820982911',
      order: null,
    })
    expect(only(send('orders/delete', { id: 7 }), shopOrderChanged)).toMatchObject({
      change: 'deleted',
      orderId: '7',
      order: null,
    })
  })
})

describe('carts and checkouts', () => {
  test('a checkout without id goes by its token and keeps the way to its cart', () => {
    const body = {
      token: 'tok',
      cart_token: 'cart',
      abandoned_checkout_url: 'https://shop/recover',
      total_price: '10.00',
      line_items: [],
      customer: { id: 1 },
    }
    expect(only(send('checkouts/create', body), shopCheckoutChanged)).toMatchObject({
      shopCheckoutKey: `${shop}:tok`,
      kind: 'checkout',
      token: 'tok',
      checkoutId: null,
      cartToken: 'cart',
      checkout: { recoveryUrl: 'https://shop/recover', totalPrice: '10.00', customer: { customerId: '1' } },
    })
  })

  test('a deleted checkout has an id and the cart, no token', () => {
    const body = { id: 2 ** 60, cart_token: 'cart', presentment_currency: 'EUR' }
    expect(typesOf(send('checkouts/delete', { ...body, cart_token: null, id: null }))).toEqual(['webhook.unrecognised'])
    expect(only(send('checkouts/delete', { ...body, id: '981820079255243500' }), shopCheckoutChanged)).toMatchObject({
      shopCheckoutKey: `${shop}:981820079255243500`,
      token: null,
      cartToken: 'cart',
      checkout: null,
    })
  })

  test('a cart calls its token id, and its lines have properties of another form', () => {
    const body = {
      id: 'c1-f88',
      token: 'c1-f88',
      note: '',
      line_items: [{ id: 1, quantity: 3, properties: { Gravure: 'Ana' }, price: '1.00' }],
    }
    expect(only(send('carts/update', body), shopCheckoutChanged)).toMatchObject({
      kind: 'cart',
      token: 'c1-f88',
      checkout: { note: null, currency: null, lines: [{ quantity: 3, properties: [{ name: 'Gravure', value: 'Ana' }] }] },
    })
  })
})

describe('products, customers, refunds, returns', () => {
  test('a product with its variants, oversold stock and all', () => {
    const body = {
      id: 632910392,
      title: 'Sérum',
      tags: 'a, b,,c',
      image: { src: 'https://cdn/x.jpg' },
      variants: [
        { id: '12345678901234567890', price: '199.00', inventory_quantity: -3, option1: 'Rouge', option2: null },
        { title: 'no id' },
      ],
    }
    expect(only(send('products/update', body), shopProductChanged)).toMatchObject({
      productId: '632910392',
      product: {
        tags: ['a', 'b', 'c'],
        imageUrl: 'https://cdn/x.jpg',
        variants: [{ variantId: '12345678901234567890', inventoryQuantity: -3, options: ['Rouge'] }],
        variantCount: 2,
        variantsTruncated: true,
      },
    })
    expect(only(send('products/delete', { id: 7 }), shopProductChanged)).toMatchObject({ change: 'deleted', product: null })
  })

  test('a customer, and each side of one on its own topic', () => {
    const changed = (topic: string, body: unknown) => only(send(topic, body), shopCustomerChanged)
    const whole = {
      id: 7,
      first_name: 'Ana',
      phone: null,
      email_marketing_consent: { state: 'subscribed' },
      default_address: { first_name: 'Ana', last_name: 'B', city: 'Lyon' },
    }
    expect(changed('customers/create', whole).customer).toMatchObject({
      firstName: 'Ana',
      tags: null,
      ordersCount: null,
      emailConsent: 'subscribed',
      address: { name: 'Ana B', city: 'Lyon' },
    })
    expect(
      changed('customers/delete', { id: 7, tax_exemptions: [], admin_graphql_api_id: 'gid://shopify/Customer/7' }),
    ).toMatchObject({ change: 'deleted', customer: null })
    expect(
      changed('customer.tags_added', {
        customerId: 'gid://shopify/Customer/7',
        tags: ['vip'],
        occurredAt: '2026-09-30T12:00:00Z',
      }),
    ).toMatchObject({
      customerId: '7',
      change: 'tags_added',
      updatedAt: '2026-09-30T12:00:00.000Z',
      customer: { tags: ['vip'], email: null },
    })
    const totals = {
      customerId: 'gid://shopify/Customer/7',
      numberOfOrders: '3',
      amountSpent: { amount: '12.50', currencyCode: 'EUR' },
      lastOrderId: 'gid://shopify/Order/9',
    }
    expect(changed('customers/purchasing_summary', totals).customer).toMatchObject({
      ordersCount: 3,
      totalSpent: '12.50',
      currency: 'EUR',
      lastOrderId: '9',
    })
    const consent = { customer_id: 7, email_address: 'a@b.fr', email_marketing_consent: { state: 'unsubscribed' } }
    expect(changed('customers_email_marketing_consent/update', consent).customer).toMatchObject({
      email: 'a@b.fr',
      emailConsent: 'unsubscribed',
      smsConsent: null,
    })
    const whatsapp = { customer_id: 7, phone_number: '+33612345678', whats_app_marketing_consent: { state: 'subscribed' } }
    expect(changed('customers_whats_app_marketing_consent/update', whatsapp).customer).toMatchObject({
      phone: '+33612345678',
      whatsappConsent: 'subscribed',
    })
  })

  test('a refund reads money as number and as text, and no currency out of XXX', () => {
    const body = {
      id: 2 ** 60,
      order_id: 820982911,
      restock: true,
      refund_line_items: [{ line_item_id: 1, quantity: 1, subtotal: 195.66, total_tax: '3.98' }],
      transactions: [
        {
          id: 1,
          kind: 'refund',
          status: 'success',
          amount: '10.00',
          currency: null,
          amount_set: { shop_money: { amount: '10.00', currency: 'XXX' } },
        },
        { id: 2, kind: 'refund', amount: 0.1 + 0.2, currency: 'EUR', gateway: 'gift_card' },
      ],
    }
    expect(typesOf(send('refunds/create', body))).toEqual(['webhook.unrecognised'])
    expect(only(send('refunds/create', { ...body, id: '890088186047892319' }), shopRefundChanged)).toMatchObject({
      refundId: '890088186047892319',
      shopOrderKey: `${shop}:820982911`,
      lines: [{ subtotal: '195.66', totalTax: '3.98' }],
      transactions: [
        { amount: '10.00', currency: null },
        { amount: '0.3', currency: 'EUR' },
      ],
    })
  })

  test.each([
    [
      'returns/request',
      {
        id: 3,
        order: { id: 9, admin_graphql_api_id: 'gid://shopify/Order/9' },
        status: 'requested',
        total_return_line_items: 1,
        return_line_items: [
          {
            id: 4,
            quantity: 1,
            return_reason: 'unwanted',
            return_reason_note: '',
            customer_note: 'trop grand',
            fulfillment_line_item: { line_item: { id: 11 } },
          },
        ],
      },
      {
        change: 'requested',
        orderId: '9',
        lines: [{ returnLineId: '4', lineItemId: '11', reason: 'unwanted', note: 'trop grand' }],
        linesTruncated: false,
      },
    ],
    [
      'returns/approve',
      { id: 3, order: { id: 9 }, total_return_line_items: 2, return_line_items: [] },
      { change: 'approved', lineCount: 2, lines: [], linesTruncated: true },
    ],
    [
      'returns/decline',
      { id: 3, order: { id: 9 }, decline: { reason: 'FINAL_SALE', note: 'non' } },
      { change: 'declined', declineReason: 'FINAL_SALE', declineNote: 'non' },
    ],
    ['returns/cancel', { id: 3, order_id: 9, status: 'canceled' }, { change: 'cancelled', orderId: '9', status: 'canceled' }],
    [
      'returns/update',
      { admin_graphql_api_id: 'gid://shopify/Return/3' },
      { change: 'updated', returnId: '3', orderId: null, linesTruncated: true },
    ],
    [
      'returns/update',
      { id: 3, return_line_items: { removals: [{ id: 4 }] } },
      { change: 'updated', lines: [], linesTruncated: true },
    ],
    [
      'returns/reopen',
      { id: 3, return_line_items: { id: 4, quantity: 2 } },
      { change: 'reopened', lines: [{ returnLineId: '4', quantity: 2 }], linesTruncated: false },
    ],
    ['reverse_deliveries/attach_deliverable', { id: 1, return: { id: 3 } }, { change: 'shipment_attached', returnId: '3' }],
  ])('%s with %j', (topic, body, expected) => {
    expect(only(send(topic, body), shopReturnChanged)).toMatchObject({ returnId: '3', shopReturnKey: `${shop}:3`, ...expected })
  })
})

describe('privacy and the end', () => {
  test('a data request, an erasure by e-mail alone, and a whole shop', () => {
    const request = {
      shop_id: 1,
      shop_domain: shop,
      orders_requested: [1, '299938000000000000000'],
      customer: { id: 7, email: 'a@b.fr', phone: null },
      data_request: { id: 9999 },
    }
    expect(only(send('customers/data_request', request), privacyRequested)).toMatchObject({
      privacyKey: `${shop}:7`,
      kind: 'data_request',
      dataRequestId: '9999',
      orderIds: ['1', '299938000000000000000'],
    })
    expect(
      only(send('customers/redact', { shop_id: 1, shop_domain: shop, customer: { email: 'a@b.fr' } }), privacyRequested),
    ).toMatchObject({
      kind: 'customer_redact',
      customer: { customerId: null, email: 'a@b.fr', phone: null },
      orderIds: [],
    })
    expect(only(send('shop/redact', { shop_id: 1, shop_domain: shop }), privacyRequested)).toMatchObject({
      kind: 'shop_redact',
      customer: null,
      privacyKey: shop,
    })
  })

  test('orders beyond the ceiling are marked as missing', () => {
    const body = {
      shop_id: 1,
      shop_domain: shop,
      customer: { id: 7 },
      orders_to_redact: Array.from({ length: 1_500 }, (_, i) => i),
    }
    const data = only(send('customers/redact', body), privacyRequested)
    expect([data.orderIds.length, data.ordersTruncated]).toEqual([1_000, true])
  })

  test('an uninstall takes the shop from the source, its own domain may be null', () => {
    expect(only(send('app/uninstalled', { id: 690933842, myshopify_domain: null, domain: null }), shopUninstalled)).toMatchObject(
      { shop, shopId: '690933842' },
    )
  })

  test('every topic that we subscribe to has a reader, and some are of no use', () => {
    expect(shopifyTopics).toHaveLength(44)
    for (const topic of ['bulk_operations/finish', 'app/scopes_update', 'app_subscriptions/update'])
      expect(typesOf(send(topic, { a: 1 }))).toEqual(['unused'])
  })
})
