import { createHmac } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../chaos/random.ts'
import { placesOf } from './mutations.ts'

export type Provider = 'whapi' | 'shopify' | 'elevenlabs' | 'tavus'

/** A payload as a provider sends it. */
export interface Sample {
  name: string
  provider: Provider
  topic: string
  body: unknown
}

export const account = 'FUZZ-PHONE'
export const shop = 'fuzz.myshopify.com'
export const signingSecret = 'a-secret-that-signs'

const text = (id: string, chat: string, body: string) => ({
  id,
  from_me: false,
  type: 'text',
  chat_id: `${chat}@s.whatsapp.net`,
  timestamp: 1_789_000_000,
  source: 'mobile',
  text: { body },
  from: chat,
  from_name: 'Zoé',
})
/** A delivery with one message that nothing is wrong with. */
export const greeting = (id: string, chat: string) => ({
  messages: [text(id, chat, 'Bonjour')],
  event: { type: 'messages', event: 'post' },
  channel_id: account,
})

/** So that it runs without the providers' own payloads too. */
const small: readonly Sample[] = [
  { name: 'text', provider: 'whapi', topic: '', body: greeting('text', '33612000001') },
  {
    name: 'document',
    provider: 'whapi',
    topic: '',
    body: {
      messages: [
        {
          ...text('document', '33612000002', ''),
          type: 'document',
          text: undefined,
          document: { id: 'm1', mime_type: 'application/pdf', file_size: 12, file_name: 'a.pdf', link: 'https://example.com/a' },
          context: { quoted_id: 'text', quoted_author: '33612000001', quoted_type: 'text', quoted_content: { body: 'Oui' } },
        },
      ],
      event: { type: 'messages', event: 'post' },
      channel_id: account,
    },
  },
  {
    name: 'status',
    provider: 'whapi',
    topic: '',
    body: {
      statuses: [
        { id: 'text', code: 3, status: 'delivered', recipient_id: '33612000001@s.whatsapp.net', timestamp: '1789000000' },
      ],
      event: { type: 'statuses', event: 'post' },
      channel_id: account,
    },
  },
  {
    name: 'user',
    provider: 'whapi',
    topic: '',
    body: { user: { id: '33600000000', name: 'Shop' }, event: { type: 'users', event: 'delete' }, channel_id: account },
  },
  {
    name: 'order',
    provider: 'shopify',
    topic: 'orders/updated',
    body: {
      id: 820_982_911_946_154,
      name: '#9999',
      email: 'zoe@example.com',
      created_at: '2026-09-30T12:00:00Z',
      updated_at: '2026-09-30T12:00:00Z',
      currency: 'EUR',
      total_price: '12.00',
      tags: 'a, b',
      customer: { id: 115_310_627, phone: '+33612000003', first_name: 'Zoé', tags: '' },
      line_items: [{ id: 1, product_id: 2, title: 'Rose', quantity: 10, price: '1.20', properties: [{ name: 'a', value: 'b' }] }],
      discount_codes: [{ code: 'A', amount: '1.00', type: 'percentage' }],
    },
  },
  {
    name: 'customer',
    provider: 'shopify',
    topic: 'customers/update',
    body: { id: 115_310_628, email: 'lea@example.com', phone: '+33612000004', updated_at: '2026-09-30T12:00:00Z', tags: 'a' },
  },
  {
    name: 'product',
    provider: 'shopify',
    topic: 'products/update',
    body: { id: 788_032, title: 'Rose', updated_at: '2026-09-30T12:00:00Z', variants: [{ id: 1, title: 'red', price: '1.20' }] },
  },
  {
    name: 'transcript',
    provider: 'elevenlabs',
    topic: '',
    body: {
      type: 'post_call_transcription',
      event_timestamp: 1_789_000_000,
      data: {
        agent_id: 'agent',
        conversation_id: 'call',
        status: 'done',
        transcript: [{ role: 'user', message: 'Bonjour', time_in_call_secs: 0 }],
        metadata: { start_time_unix_secs: 1_789_000_000, call_duration_secs: 22, termination_reason: 'end' },
        analysis: { call_successful: 'success', transcript_summary: 'Bonjour', data_collection_results: { a: { value: 'b' } } },
      },
    },
  },
  {
    name: 'audio',
    provider: 'elevenlabs',
    topic: '',
    body: {
      type: 'post_call_audio',
      event_timestamp: 1_789_000_000,
      data: { agent_id: 'agent', conversation_id: 'call', full_audio: 'SUQz' },
    },
  },
  ...['system.replica_joined', 'system.shutdown', 'application.transcription_ready', 'application.recording_ready'].map(
    (event_type): Sample => ({
      name: event_type,
      provider: 'tavus',
      topic: '',
      body: {
        event_type,
        conversation_id: 'call',
        timestamp: '2026-09-30T12:00:00Z',
        properties: {
          shutdown_reason: 'end',
          transcript: [{ role: 'user', content: 'Bonjour' }],
          s3_key: 'tavus/call/1.mp4',
          bucket_name: 'ours',
          duration: 42.5,
        },
      },
    }),
  ),
]

/** Shopify's topic for an answer of its REST API that holds what the webhook would send. */
const restTopics: Readonly<Record<string, string>> = {
  order: 'orders/updated',
  customer: 'customers/update',
  checkout: 'checkouts/update',
  product: 'products/update',
  refund: 'refunds/create',
}

/** Ours, and the providers' own where PARLEY_FIXTURES names the folder of their payloads. */
export function readSamples(folder = process.env['PARLEY_FIXTURES']): readonly Sample[] {
  if (folder === undefined) return small
  const published = (['whapi', 'shopify', 'elevenlabs', 'tavus'] as const).flatMap((provider) => {
    const path = join(folder, 'payloads', provider)
    if (!existsSync(path)) return []
    return readdirSync(path)
      .filter((file) => file.endsWith('.json') && !file.endsWith('.meta.json'))
      .flatMap((file) => publishedIn(provider, path, file))
  })
  return [...small, ...published]
}

function publishedIn(provider: Provider, path: string, file: string): Sample[] {
  const read = (name: string) => JSON.parse(readFileSync(join(path, name), 'utf8'))
  const body = read(file)
  const { topic = '', kind } = read(file.replace(/\.json$/, '.meta.json')) as { topic?: string; kind: string }
  if (kind === 'webhook') {
    // Told of the one phone that this world has.
    const told = provider === 'whapi' && 'channel_id' in body ? { ...body, channel_id: account } : body
    return [{ name: `${provider}/${file}`, provider, topic, body: told }]
  }
  if (provider !== 'shopify') return []
  return Object.entries(restTopics).flatMap(([key, of]) =>
    body[key] === undefined ? [] : [{ name: `${provider}/${file}`, provider, topic: of, body: body[key] }],
  )
}

/** The sample with ids that were never told before, so that it is no duplicate of the last. */
export function renewed(body: unknown, random: Random): unknown {
  const copy = structuredClone(body) as object
  for (const place of placesOf(copy)) {
    const key = place.at(-1) as string
    if (key !== 'id' && key !== 'conversation_id') continue
    const holder = place.slice(0, -1).reduce<object>((at, name) => (at as Record<string, object>)[name] as object, copy)
    const now = (holder as Record<string, unknown>)[key]
    const next = typeof now === 'string' ? `${now.slice(0, 40)}-${random.int(1, 2 ** 31)}` : random.int(1, 2 ** 50)
    if (typeof now === 'string' || typeof now === 'number') (holder as Record<string, unknown>)[key] = next
  }
  return copy
}

/** What proves that a delivery is the provider's. */
export function proofOf(sample: Pick<Sample, 'provider' | 'topic'>, body: string, now: Date): Record<string, string> {
  if (sample.provider === 'shopify') {
    const hmac = createHmac('sha256', signingSecret).update(body).digest('base64')
    return { 'x-shopify-hmac-sha256': hmac, 'x-shopify-shop-domain': shop, 'x-shopify-topic': sample.topic }
  }
  if (sample.provider !== 'elevenlabs') return {}
  const at = Math.floor(now.getTime() / 1_000)
  const hmac = createHmac('sha256', signingSecret).update(`${at}.${body}`).digest('hex')
  return { 'elevenlabs-signature': `t=${at},v0=${hmac}` }
}
