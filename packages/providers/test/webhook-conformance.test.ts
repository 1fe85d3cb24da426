import type { ProviderName } from '@parley/contracts'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseJson } from '@parley/contracts/json'
import { type Normalised, openWebhook, webhookAdapters } from '../src/webhook/index.ts'
import { expectSound, receiptId, receivedAt, typesOf } from '../src/webhook/testing.ts'

/*
 * Real payloads of the providers, kept outside the project: PARLEY_FIXTURES names the folder that holds `payloads/` and
 * `signature-vectors.json`. A payload that this table does not know fails, so that none goes by unread.
 */
const folder = process.env.PARLEY_FIXTURES

/** Types of the events that a webhook must become, in order; `unused` for what is recognised and dropped. */
type Expected = readonly string[]
const received: Expected = ['message.received']

const webhooks: Readonly<Record<string, Expected>> = {
  'whapi/shape_batch_two_messages.json': ['message.received', 'message.received'],
  'whapi/shape_chat_cleared.json': ['message.deleted'],
  'whapi/shape_contact.json': received,
  'whapi/shape_empty_messages.json': [],
  'whapi/shape_from_me_echo.json': received,
  'whapi/shape_image_with_caption.json': received,
  'whapi/shape_image_without_link.json': received,
  'whapi/shape_lid_sender.json': received,
  'whapi/shape_location.json': received,
  'whapi/shape_message_deleted.json': ['message.deleted'],
  'whapi/shape_message_edited_patch.json': ['message.edited'],
  'whapi/shape_reaction.json': ['message.reacted'],
  'whapi/shape_reaction_removed.json': ['message.reacted'],
  'whapi/shape_unknown_type.json': received,
  'whapi/shape_voice.json': received,
  // Published without its event and channel: a delivery in that form names no kind.
  'whapi/skill_msg_interactive_l67.json': ['webhook.unrecognised'],
  'whapi/skill_recv_webhooks_l128.json': received,
  'whapi/waconector_ack.json': ['message.status_changed'],
  'whapi/waconector_connection_update_qr.json': ['channel.status_changed'],
  'whapi/waconector_message_document.json': received,
  'whapi/waconector_message_sent.json': received,
  'whapi/waconector_user_disconnected.json': ['channel.status_changed'],
  'shopify/webhook_app_uninstalled_laravel.json': ['shop.uninstalled'],
  'shopify/webhook_carts_update.json': ['shop.checkout_changed'],
  'elevenlabs/post_call_transcription.json': ['call.ended', 'call.transcribed'],
  'elevenlabs/speech_to_text_transcription.json': ['unused'],
}

/**
 * Answers of Shopify's REST API that hold a resource as its webhook sends it: `[topic, key, events]`. The webhook samples on
 * hand are two, these are the real structures of the rest.
 */
const restAsWebhook: Readonly<Record<string, readonly [topic: string, key: string, event: string]>> = {
  'shopify/goshopify_customer.json': ['customers/update', 'customer', 'shop.customer_changed'],
  'shopify/goshopify_order_voided_null_customer_id.json': ['orders/cancelled', 'order', 'shop.order_changed'],
  'shopify/goshopify_order_with_transaction.json': ['orders/updated', 'order', 'shop.order_changed'],
  'shopify/node_customer_search.json': ['customers/update', 'customers', 'shop.customer_changed'],
  'shopify/node_order_cancel.json': ['orders/cancelled', 'order', 'shop.order_changed'],
  'shopify/rest_abandoned_checkouts_list.json': ['checkouts/update', 'checkouts', 'shop.checkout_changed'],
  'shopify/rest_checkout_completed.json': ['checkouts/update', 'checkout', 'shop.checkout_changed'],
  'shopify/rest_checkout_completed_with_order.json': ['checkouts/update', 'checkout', 'shop.checkout_changed'],
  'shopify/rest_checkout_in_progress.json': ['checkouts/create', 'checkout', 'shop.checkout_changed'],
  'shopify/rest_checkout_shipping_required.json': ['checkouts/create', 'checkout', 'shop.checkout_changed'],
  'shopify/rest_customer_created.json': ['customers/create', 'customer', 'shop.customer_changed'],
  'shopify/rest_order_cancelled_multi_gateway.json': ['orders/cancelled', 'order', 'shop.order_changed'],
  'shopify/rest_order_customer_removed.json': ['orders/updated', 'order', 'shop.order_changed'],
  'shopify/rest_order_discount_and_phone.json': ['orders/create', 'order', 'shop.order_changed'],
  'shopify/rest_order_fields_subset.json': ['orders/updated', 'order', 'shop.order_changed'],
  'shopify/rest_order_fulfilled.json': ['orders/fulfilled', 'order', 'shop.order_changed'],
  'shopify/rest_order_no_customer_empty_email.json': ['orders/create', 'orders', 'shop.order_changed'],
  'shopify/rest_order_pending.json': ['orders/create', 'order', 'shop.order_changed'],
  'shopify/rest_order_phone_updated.json': ['orders/updated', 'order', 'shop.order_changed'],
  'shopify/rest_order_three_lines_no_customer.json': ['orders/create', 'order', 'shop.order_changed'],
  'shopify/rest_product_created_minimal.json': ['products/create', 'product', 'shop.product_changed'],
  'shopify/rest_product_created_with_variants.json': ['products/create', 'product', 'shop.product_changed'],
  'shopify/rest_product_full.json': ['products/update', 'product', 'shop.product_changed'],
  'shopify/rest_product_variants_reordered_or_removed.json': ['products/update', 'product', 'shop.product_changed'],
  'shopify/rest_products_custom_collection.json': ['products/update', 'products', 'shop.product_changed'],
  'shopify/rest_products_list.json': ['products/update', 'products', 'shop.product_changed'],
  'shopify/rest_refund_full.json': ['refunds/create', 'refund', 'shop.refund_changed'],
  'shopify/rest_refunds_list.json': ['refunds/create', 'refunds', 'shop.refund_changed'],
  'shopify/ruby_order_with_properties.json': ['orders/updated', 'order', 'shop.order_changed'],
}

/** Answers and requests of their APIs that are no webhook in any form; only parsed here. */
const restOnly = [
  /^elevenlabs\/rest_/,
  /^whapi\/skill_(channels_management|core_auth|msg_interactive|msg_media|msg_text|pattern|recv_history)_/,
  /^shopify\/(graphql|oauth|py)_/,
  /^shopify\/goshopify_(charge|customer_tags|fulfillment_event|lineitem|shippingline|webhook_subscription)/,
  /^shopify\/rest_(customer_search|discount_codes|draft_order|fulfillment|gift_card|inventory_level|shipping_rates|shop|variants|webhook_subscriptions)/,
  /^shopify\/ruby_order_risks/,
]

const providers: readonly ProviderName[] = ['whapi', 'shopify', 'elevenlabs', 'tavus']

function payloads(): string[] {
  return providers.flatMap((provider) => {
    const path = join(folder ?? '', 'payloads', provider)
    // There is no folder for Tavus: its published samples came without a usable licence.
    if (!existsSync(path)) return []
    const files = readdirSync(path).filter((file) => file.endsWith('.json') && !file.endsWith('.meta.json'))
    return files.map((file) => `${provider}/${file}`)
  })
}

function read(file: string): Buffer {
  return readFileSync(join(folder ?? '', 'payloads', file))
}

function topicOf(file: string): string {
  const meta = JSON.parse(read(file.replace(/\.json$/, '.meta.json')).toString()) as { topic?: string }
  return meta.topic ?? ''
}

function normalised(provider: ProviderName, bytes: Uint8Array, headers: Record<string, string>): Normalised {
  const { value } = parseJson(bytes, webhookAdapters[provider].limits)
  const bodySha256 = createHash('sha256').update(bytes).digest('hex')
  const accountId = provider === 'shopify' ? 'example.myshopify.com' : null
  return webhookAdapters[provider].normalise({ headers, body: value, receivedAt, accountId, receiptId, bodySha256 })
}

describe.skipIf(folder === undefined)('published payloads (PARLEY_FIXTURES names their folder)', () => {
  const files = folder === undefined ? [] : payloads()

  test('every payload has an expectation, and every expectation a payload', () => {
    const known = files.filter(
      (file) => file in webhooks || file in restAsWebhook || restOnly.some((pattern) => pattern.test(file)),
    )
    expect(known).toEqual(files)
    expect(Object.keys({ ...webhooks, ...restAsWebhook }).filter((file) => !files.includes(file))).toEqual([])
  })

  test.each(files)('%s is parsed to the digit', (file) => {
    const text = read(file).toString()
    const { value } = parseJson(Buffer.from(text))
    const big = [...text.matchAll(/(?<=[[:,]\s*)-?\d{16,}(?=\s*[,\]}])/g)]
      .map(([digits]) => digits)
      .filter((digits) => !Number.isSafeInteger(Number(digits)))
    const written = JSON.stringify(value)
    for (const digits of big) expect(written).toContain(`"${digits}"`)
    if (big.length === 0) expect(value).toEqual(JSON.parse(text))
  })

  test.each(Object.entries(webhooks))('%s becomes %j', (file, expected) => {
    const provider = file.split('/')[0] as ProviderName
    const headers = { 'x-shopify-topic': topicOf(file), 'x-shopify-event-id': 'e1' }
    const result = normalised(provider, read(file), headers)
    expect(typesOf(result)).toEqual(expected)
    expect(new Set(result.items.map((item) => item.dedupeKey)).size).toBe(result.items.length)
    expectSound(result)
    expect(normalised(provider, read(file), headers)).toEqual(result)
  })

  test.each(Object.entries(restAsWebhook))('%s, sent as a webhook, is taken as %j', (file, [topic, key, type]) => {
    const { value } = parseJson(read(file))
    const held = (value as Record<string, unknown>)[key]
    const resources: unknown[] = Array.isArray(held) ? held : [held]
    expect(resources).not.toEqual([])
    for (const resource of resources) {
      const bytes = Buffer.from(JSON.stringify(resource))
      const result = normalised('shopify', bytes, { 'x-shopify-topic': topic })
      expect(typesOf(result)).toEqual([type])
      expectSound(result)
      expect(normalised('shopify', bytes, { 'x-shopify-topic': topic })).toEqual(result)
    }
  })
})

interface Vector {
  id: string
  scheme: string
  secret: string
  headers: Record<string, string>
  body: string
  now?: number
  expected: string
}

const schemes: Readonly<Record<string, ProviderName>> = { 'shopify-webhook': 'shopify', 'elevenlabs-v0': 'elevenlabs' }

describe.skipIf(folder === undefined)('published signature vectors', () => {
  const file = join(folder ?? '', 'signature-vectors.json')
  const all = folder === undefined ? [] : (JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }).vectors
  const ours = all.filter((vector) => vector.scheme in schemes)

  test('there are some for each signed provider', () => {
    expect(new Set(ours.map((vector) => vector.scheme))).toEqual(new Set(Object.keys(schemes)))
  })

  test.each(ours)('$id is $expected', (vector) => {
    const adapter = webhookAdapters[schemes[vector.scheme] as ProviderName]
    const headers = Object.fromEntries(Object.entries(vector.headers).map(([name, value]) => [name.toLowerCase(), value]))
    const request = { headers, rawBody: Buffer.from(vector.body), receivedAt: new Date((vector.now ?? 0) * 1_000) }
    const accountId = headers['x-shopify-shop-domain'] ?? null
    const verdict = adapter.verify(request, { signing: [vector.secret], accountId })
    expect(verdict.ok).toBe(vector.expected === 'valid')
    if (!verdict.ok) {
      expect(verdict.status).toBe(401)
      expect(openWebhook(adapter, request, { signing: [vector.secret], accountId })).toEqual({ verdict })
    }
  })
})
