import { expect, test } from 'vitest'
import { keptHeaders } from './kept-headers.ts'

test('a receipt keeps what a replay needs', () => {
  const headers = {
    'x-shopify-topic': 'orders/create',
    'x-shopify-shop-domain': 'a.myshopify.com',
    'content-type': 'application/json',
  }
  expect(keptHeaders(headers)).toEqual(headers)
})

test('a receipt never keeps a secret, a signature or a cookie', () => {
  const headers = {
    'x-parley-secret': 's',
    'x-parley-token': 't',
    authorization: 'Bearer x',
    cookie: 'a=b',
    'x-shopify-hmac-sha256': 'h',
    'elevenlabs-signature': 'v0=1',
    'x-forwarded-for': '1.2.3.4',
  }
  expect(keptHeaders(headers)).toEqual({})
})

test('a receipt keeps no endless value', () => {
  expect(keptHeaders({ 'user-agent': 'x'.repeat(5_000) })['user-agent']).toHaveLength(1_024)
})
