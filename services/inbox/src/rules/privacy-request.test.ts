import { expect, test } from 'vitest'
import { phoneToErase } from './privacy-request.ts'

const demand = (phone: string | null, kind: 'customer_redact' | 'data_request' | 'shop_redact' = 'customer_redact') =>
  phoneToErase({ kind, customer: { customerId: '7', email: 'ana@example.com', phone } })

test.each([
  ['+33612345678', '+33612345678'],
  ['+33 6 12 34 56 78', '+33612345678'],
  ['+1 (555) 625-1199', '+15556251199'],
  // Whose it is depends on the country.
  ['555-625-1199', undefined],
  ['0612345678', undefined],
  ['+0612345678', undefined],
  ['+33612345678 ext. 4', undefined],
  ['+3361234567890123', undefined],
  ['', undefined],
  [null, undefined],
])('a demand to erase %s looks for %s', (phone, found) => {
  expect(demand(phone)).toBe(found)
})

test('a demand for a copy, or of a whole shop, erases nobody by itself', () => {
  expect(demand('+33612345678', 'data_request')).toBeUndefined()
  expect(demand('+33612345678', 'shop_redact')).toBeUndefined()
  expect(phoneToErase({ kind: 'customer_redact', customer: null })).toBeUndefined()
})
