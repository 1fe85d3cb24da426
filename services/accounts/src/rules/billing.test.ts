import { expect, test } from 'vitest'
import { periodEnd, unusedMinor } from './billing-period.ts'
import { termsOf } from './limits.ts'
import { overageLines } from './overage.ts'
import { statusAfterPayment, type TransactionStatus } from './payment.ts'
import { plans } from './plan.ts'

const at = (text: string) => new Date(text)

test('overage is charged per unit beyond the limit, and only where the plan says so', () => {
  const used = { messages: 50_007, ai_requests: 25_100, customers: 3, ai_spend: 61_000_000 }
  expect(overageLines(used, termsOf('professional', {}, null))).toEqual([
    { metric: 'messages', used: 50_007, limit: 50_000, quantity: 7, unitPriceMicros: 2_000, amountMinor: 1 },
    { metric: 'ai_requests', used: 25_100, limit: 25_000, quantity: 100, unitPriceMicros: 10_000, amountMinor: 100 },
  ])
  expect(overageLines(used, termsOf('starter', {}, null))).toEqual([])
  const models = overageLines({ ...used, ai_spend: 310_000_000 }, termsOf('enterprise', {}, null))
  expect(models).toMatchObject([{ metric: 'ai_spend', quantity: 10_000_000, amountMinor: 1_200 }])
})

test('a period begun on the 31st ends on the last day of a short month and comes back to the 31st', () => {
  const began = at('2026-01-31T09:30:00Z')
  const february = periodEnd(began, began, 'monthly')
  expect(february).toEqual(at('2026-02-28T09:30:00Z'))
  expect(periodEnd(began, february, 'monthly')).toEqual(at('2026-03-31T09:30:00Z'))
  expect(periodEnd(at('2024-02-29T00:00:00Z'), at('2024-02-29T00:00:00Z'), 'annual')).toEqual(at('2025-02-28T00:00:00Z'))
  expect(periodEnd(began, at('2026-12-31T09:30:00Z'), 'monthly')).toEqual(at('2027-01-31T09:30:00Z'))
})

test('what is left of a paid period is given back, never more than was paid and never a fraction', () => {
  const period = { start: at('2026-01-01T00:00:00Z'), end: at('2026-01-31T00:00:00Z') }
  expect(unusedMinor(2_900, period, at('2026-01-16T00:00:00Z'))).toBe(1_450)
  expect(unusedMinor(100, period, at('2026-01-11T00:00:00Z'))).toBe(66)
  expect(unusedMinor(2_900, period, at('2025-12-01T00:00:00Z'))).toBe(2_900)
  expect(unusedMinor(2_900, period, at('2026-02-01T00:00:00Z'))).toBe(0)
})

test('the words of a payment provider may come in any order', () => {
  const words = ['payment.failed', 'payment.succeeded', 'payment.refunded'] as const
  const orders = words.flatMap((a) => words.filter((b) => b !== a).map((b) => [a, b, ...words.filter((c) => c !== a && c !== b)]))
  expect(orders).toHaveLength(6)
  for (const order of orders) {
    const end = order.reduce<TransactionStatus>((status, word) => statusAfterPayment(status, word), 'pending')
    expect(end).toBe('refunded')
  }
  expect(statusAfterPayment('succeeded', 'payment.failed')).toBe('succeeded')
  expect(statusAfterPayment('failed', 'payment.succeeded')).toBe('succeeded')
})

test('a year costs ten months, and a bigger plan never allows less', () => {
  const order = ['free', 'starter', 'professional', 'enterprise'] as const
  for (const [index, name] of order.entries()) {
    const plan = plans[name]
    expect(plan.annualPriceMinor).toBe(plan.monthlyPriceMinor * 10)
    const smaller = order[index - 1]
    if (smaller === undefined) continue
    for (const field of ['messages', 'aiRequests', 'customers', 'aiSpendMicros'] as const) {
      expect(plan.limits[field] ?? Infinity).toBeGreaterThan(plans[smaller].limits[field] ?? Infinity)
    }
  }
})
