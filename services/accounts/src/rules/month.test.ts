import { monthOf, startOfMonth } from '@parley/contracts'
import { expect, test } from 'vitest'
import { chargedMonth, nextMonth } from './month.ts'

const at = (text: string) => new Date(text)

test('the last millisecond of a month is of that month, the next of the next, in every zone', () => {
  for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/St_Johns', 'Pacific/Niue', 'Europe/Paris', 'Australia/Lord_Howe']) {
    for (const month of ['2026-01-01', '2026-03-01', '2026-04-01', '2026-10-01', '2026-11-01', '2024-03-01']) {
      const start = startOfMonth(month, zone)
      expect(monthOf(start, zone)).toBe(month)
      expect(nextMonth(monthOf(new Date(start.getTime() - 1), zone))).toBe(month)
    }
  }
})

test('a month in which the clocks change is an hour shorter or longer', () => {
  const hours = (month: string) =>
    (startOfMonth(nextMonth(month), 'Europe/Paris').getTime() - startOfMonth(month, 'Europe/Paris').getTime()) / 3_600_000
  expect(hours('2026-03-01')).toBe(31 * 24 - 1)
  expect(hours('2026-10-01')).toBe(31 * 24 + 1)
  expect(hours('2026-02-01')).toBe(28 * 24)
})

test('December is followed by January', () => {
  expect(nextMonth('2026-12-01')).toBe('2027-01-01')
  expect(nextMonth('2026-09-01')).toBe('2026-10-01')
})

test('what comes after its month was billed counts now, everything else in its own month', () => {
  const now = at('2026-03-20T00:00:00Z')
  const used = at('2026-01-10T00:00:00Z')
  expect(chargedMonth(used, now, 'UTC', null)).toBe('2026-01-01')
  expect(chargedMonth(used, now, 'UTC', '2025-12-01')).toBe('2026-01-01')
  expect(chargedMonth(used, now, 'UTC', '2026-01-01')).toBe('2026-03-01')
  expect(chargedMonth(used, now, 'UTC', '2026-02-01')).toBe('2026-03-01')
})
