import type { ProviderName } from '@parley/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shopifyTopics } from '../shopify/webhook-topics.ts'
import { webhookAdapters } from './adapters.ts'
import { expectSound, normalised } from './testing.ts'
import { type NormaliseInput, ShapeError, type WebhookHeaders } from './types.ts'

/** Words that the adapters look at, so that arbitrary JSON gets past the first check. */
const words =
  'id type event method messages messages_updates messages_removed messages_removed_all statuses channel_id chat_id from from_me text body image video document caption link contact contact_list list vcard name reply buttons_reply title order order_id token action target emoji edit reaction delete vote after_update before_update trigger status recipient_id errors timestamp health qr user post put patch channel users location latitude longitude data conversation_id metadata analysis transcript role message agent content event_type properties shutdown_reason s3_key bucket_name replica_id failure_reason dynamic_variables post_call_transcription call_initiation_failure system.shutdown application.transcription_ready line_items variants customer email phone tags note price quantity shop_id shop_domain customer_id refund_line_items transactions return_line_items decline order_edit admin_graphql_api_id myshopify_domain constructor __proto__ toString'.split(
    ' ',
  )

const scalar = fc.oneof(
  fc.constantFrom(
    ...words,
    'gid://shopify/Order/1',
    '2026-09-30T12:00:00+02:00',
    '12.30',
    '-0',
    '',
    ' ',
    '\n',
    '..',
    '1'.repeat(25),
    '😀'.repeat(40_000),
    '\u0001'.repeat(20_000),
  ),
  fc.constantFrom(0, -1, 1.5, 1e21, -1e-9, Number.MAX_SAFE_INTEGER, 1_790_769_600, 253_402_300_800, null, true, false),
  fc.string({ unit: 'grapheme' }),
)
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...words), tie('value'), { maxKeys: 8, noNullPrototype: true }),
  ),
})).value

const whapiItem = {
  id: 'm1',
  type: 'text',
  chat_id: '33612345678@s.whatsapp.net',
  from: '33612345678',
  from_me: false,
  timestamp: 1,
  text: { body: 'x' },
  image: { id: 'f', link: 'https://x' },
  contact: { name: 'n', vcard: 'v' },
  contact_list: { list: [{ name: 'n', vcard: 'v' }] },
  reply: { buttons_reply: { id: 'ButtonsV3:y', title: 't' } },
  order: { order_id: 'o', total_price: 1 },
  location: { latitude: 1, longitude: 2 },
  action: { target: 'm0', type: 'edit', edited_content: { body: 'y' }, emoji: '👍' },
}
const line = {
  id: 1,
  product_id: 2,
  variant_id: 3,
  title: 'T',
  quantity: 1,
  price: '1.00',
  properties: [{ name: 'a', value: 'b' }],
}
const shopBody = {
  id: 7,
  token: 't',
  cart_token: 'c',
  order_id: 9,
  name: '#1',
  email: 'e',
  phone: 'p',
  note: 'n',
  tags: 'a,b',
  total_price: '1',
  customer: { id: 1, email: 'e' },
  shipping_address: { city: 'x' },
  updated_at: '2026-09-30T12:00:00Z',
  payment_gateway_names: ['cod'],
  transactions: [{ id: 1, amount: '1' }],
}

/** Whole bodies of each provider, to be damaged in one place. */
const samples: Readonly<Record<ProviderName, readonly [body: object, topic?: string][]>> = {
  whapi: [
    ...['text', 'image', 'contact', 'contact_list', 'reply', 'order', 'location', 'action'].map((type): [object] => [
      { messages: [{ ...whapiItem, type }], event: { type: 'messages', event: 'post' }, channel_id: 'C' },
    ]),
    [
      {
        messages_updates: [
          { id: 'm1', trigger: { id: 'a' }, before_update: whapiItem, after_update: { ...whapiItem, text: { body: 'z' } } },
        ],
        event: { type: 'messages', event: 'patch' },
        channel_id: 'C',
      },
    ],
    [{ messages_removed: ['m1', { id: 'm2' }], event: { type: 'messages', event: 'delete' }, channel_id: 'C' }],
    [
      {
        statuses: [{ id: 's', status: 'failed', recipient_id: 'r', timestamp: '1', errors: [{ code: 1, message: 'm' }] }],
        event: { type: 'statuses', event: 'post' },
        channel_id: 'C',
      },
    ],
    [{ health: { status: { text: 'QR' } }, event: { type: 'channel', event: 'post' }, channel_id: 'C' }],
  ],
  shopify: shopifyTopics.map((topic): [object, string] => {
    if (topic.endsWith('/redact') || topic.endsWith('data_request'))
      return [{ shop_id: 1, shop_domain: 's', customer: { id: 1, email: 'e' }, orders_to_redact: [1] }, topic]
    if (topic.startsWith('products')) return [{ ...shopBody, variants: [{ id: 1, price: '1', inventory_quantity: 1 }] }, topic]
    if (topic.startsWith('refunds')) return [{ ...shopBody, refund_line_items: [{ id: 1, quantity: 1, subtotal: 1.5 }] }, topic]
    if (topic.startsWith('returns'))
      return [{ ...shopBody, return_line_items: [{ id: 1, quantity: 1 }], total_return_line_items: 2 }, topic]
    if (topic === 'app/uninstalled') return [{ id: 1, myshopify_domain: null }, topic]
    return [
      /orders|carts|checkouts/.test(topic) && !topic.endsWith('delete') ? { ...shopBody, line_items: [line, line] } : shopBody,
      topic,
    ]
  }),
  elevenlabs: [
    [
      {
        type: 'post_call_transcription',
        event_timestamp: 1,
        data: {
          conversation_id: 'c',
          agent_id: 'a',
          transcript: [{ role: 'user', message: 'm', time_in_call_secs: 1 }],
          metadata: { start_time_unix_secs: 1, call_duration_secs: 2, phone_call: { external_number: 1 } },
          analysis: { transcript_summary: 's', data_collection_results: { a: { value: 'b' } } },
          conversation_initiation_client_data: { dynamic_variables: { a: 'b' } },
        },
      },
    ],
    [
      {
        type: 'call_initiation_failure',
        event_timestamp: 1,
        data: { conversation_id: 'c', failure_reason: 'busy', metadata: { body: { From: '1', To: '2' } } },
      },
    ],
    [{ type: 'post_call_audio', event_timestamp: 1, data: { conversation_id: 'c' } }],
  ],
  tavus: ['system.replica_joined', 'system.shutdown', 'application.transcription_ready', 'application.recording_ready'].map(
    (event_type): [object] => [
      {
        event_type,
        conversation_id: 'c',
        timestamp: '2026-09-30T12:00:00Z',
        properties: {
          replica_id: 'r',
          shutdown_reason: 'x',
          transcript: [{ role: 'user', content: 'm' }],
          s3_key: 'k',
          bucket_name: 'b',
          duration: 1,
        },
      },
    ],
  ),
}

function check(provider: ProviderName, body: unknown, topic: string, also: Partial<NormaliseInput> = {}): void {
  const headers: WebhookHeaders = { 'x-shopify-topic': topic, 'x-shopify-shop-domain': 'a.myshopify.com' }
  try {
    expectSound(normalised(webhookAdapters[provider], body, { headers, ...also }))
  } catch (error) {
    if (provider !== 'shopify' || !(error instanceof ShapeError)) throw error
  }
}

/** Every place in a body, as a way of replacing it. */
function damages(body: unknown, put: (value: unknown) => unknown = (value) => value): ((value: unknown) => unknown)[] {
  if (typeof body !== 'object' || body === null) return [put]
  const inside = Object.entries(body).flatMap(([key, child]) =>
    damages(child, (value) => put(Array.isArray(body) ? body.with(Number(key), value) : { ...body, [key]: value })),
  )
  return [put, ...inside]
}

describe.each(['whapi', 'shopify', 'elevenlabs', 'tavus'] as const)('%s', (provider) => {
  test('no JSON at all makes it throw or emit what its contract or the bus would refuse', () => {
    const topics = fc.constantFrom(...shopifyTopics)
    fc.assert(
      fc.property(anything, topics, (body, topic) => check(provider, body, topic)),
      { numRuns: 500 },
    )
  })

  test('nor does a real body with anything in any place', () => {
    const storedObject = { key: 'k', mimeType: null, sizeBytes: 0 }
    for (const [body, topic = ''] of samples[provider]) {
      check(provider, body, topic, { storedObject })
      const [first, ...places] = damages(body)
      const place = fc.constantFrom(...(places.length > 0 ? places : [first as (value: unknown) => unknown]))
      fc.assert(
        fc.property(place, anything, (put, value) => check(provider, put(value), topic, { storedObject })),
        { numRuns: 150 },
      )
    }
  })

  test('the same body gives the same items', () => {
    for (const [body, topic = ''] of samples[provider]) {
      const headers = { 'x-shopify-topic': topic, 'x-shopify-shop-domain': 'a.myshopify.com' }
      const once = () => {
        try {
          return normalised(webhookAdapters[provider], structuredClone(body), { headers })
        } catch (error) {
          return String(error)
        }
      }
      expect(once()).toEqual(once())
    }
  })
})
