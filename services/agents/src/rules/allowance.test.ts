import { expect, test } from 'vitest'
import { type Allowance, budgetAt } from './allowance.ts'

const at = (text: string) => new Date(text)
const allowance: Allowance = {
  month: '2026-01-01',
  timezone: 'Pacific/Kiritimati',
  aiSpendMicros: 500,
  stopped: ['ai_requests'],
  customersStoppedAt: null,
}

test('a stop ends with its month in the organization’s own zone, and nobody has to say so', () => {
  expect(budgetAt(allowance, at('2026-01-31T09:59:59.999Z'))).toMatchObject({ month: '2026-01-01', stopped: true })
  expect(budgetAt(allowance, at('2026-01-31T10:00:00.000Z'))).toMatchObject({
    month: '2026-02-01',
    stopped: false,
    capMicros: 500,
  })
})

test('a month begins where the organization is', () => {
  expect(budgetAt(allowance, at('2026-01-10T00:00:00Z')).startsAt).toEqual(at('2025-12-31T10:00:00Z'))
  const newfoundland = { ...allowance, timezone: 'America/St_Johns' }
  expect(budgetAt(newfoundland, at('2026-07-10T00:00:00Z')).startsAt).toEqual(at('2026-07-01T02:30:00Z'))
})

test('only what models use stops models', () => {
  const now = at('2026-01-10T00:00:00Z')
  expect(budgetAt({ ...allowance, stopped: ['ai_spend'] }, now).stopped).toBe(true)
  expect(budgetAt({ ...allowance, stopped: ['messages', 'customers'] }, now).stopped).toBe(false)
})

test('messages and customers stop by themselves, each for its month', () => {
  const now = at('2026-01-10T00:00:00Z')
  const stoppedAt = at('2026-01-05T00:00:00Z')
  const both: Allowance = { ...allowance, stopped: ['messages', 'customers'], customersStoppedAt: stoppedAt }
  expect(budgetAt(both, now)).toMatchObject({ messagesStopped: true, customersStoppedAt: stoppedAt, usedUp: both.stopped })
  const next = { messagesStopped: false, customersStoppedAt: null, usedUp: [] }
  expect(budgetAt(both, at('2026-02-10T00:00:00Z'))).toMatchObject(next)
  expect(budgetAt({ ...both, stopped: ['messages'] }, now).customersStoppedAt).toBeNull()
})

test('without a word of accounts nothing is limited by the month', () => {
  expect(budgetAt(undefined, at('2026-01-10T00:00:00Z'))).toEqual({
    month: '2026-01-01',
    startsAt: at('2026-01-01T00:00:00Z'),
    capMicros: null,
    stopped: false,
    messagesStopped: false,
    customersStoppedAt: null,
    usedUp: [],
  })
})
