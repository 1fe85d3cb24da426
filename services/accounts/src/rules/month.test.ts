import { expect, test } from 'vitest'
import { chargedMonth, monthOf, nextMonth, startOfMonth } from './month.ts'

const at = (text: string) => new Date(text)

test('a month begins when the calendar on the wall says so', () => {
  expect(startOfMonth('2026-01-01', 'UTC')).toEqual(at('2026-01-01T00:00:00.000Z'))
  // Fourteen hours ahead: the year is new there before anybody else's.
  expect(startOfMonth('2026-01-01', 'Pacific/Kiritimati')).toEqual(at('2025-12-31T10:00:00.000Z'))
  // Half an hour off, in winter and in summer.
  expect(startOfMonth('2026-01-01', 'America/St_Johns')).toEqual(at('2026-01-01T03:30:00.000Z'))
  expect(startOfMonth('2026-07-01', 'America/St_Johns')).toEqual(at('2026-07-01T02:30:00.000Z'))
  expect(startOfMonth('2026-03-01', 'Asia/Kathmandu')).toEqual(at('2026-02-28T18:15:00.000Z'))
  expect(startOfMonth('2026-01-01', 'Pacific/Niue')).toEqual(at('2026-01-01T11:00:00.000Z'))
})

test('the last millisecond of a month is of that month, the next of the next, in every zone', () => {
  for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/St_Johns', 'Pacific/Niue', 'Europe/Paris', 'Australia/Lord_Howe']) {
    for (const month of ['2026-01-01', '2026-03-01', '2026-04-01', '2026-10-01', '2026-11-01', '2024-03-01']) {
      const start = startOfMonth(month, zone)
      expect(monthOf(start, zone)).toBe(month)
      expect(nextMonth(monthOf(new Date(start.getTime() - 1), zone))).toBe(month)
    }
  }
})

test('a month that begins while the clocks jump over midnight begins at one', () => {
  // Paraguay, 1 October 2017: 00:00 became 01:00 (UTC-4 to UTC-3).
  expect(startOfMonth('2017-10-01', 'America/Asuncion')).toEqual(at('2017-10-01T04:00:00.000Z'))
})

test('a month in which the clocks change is an hour shorter or longer', () => {
  const hours = (month: string) =>
    (startOfMonth(nextMonth(month), 'Europe/Paris').getTime() - startOfMonth(month, 'Europe/Paris').getTime()) / 3_600_000
  expect(hours('2026-03-01')).toBe(31 * 24 - 1)
  expect(hours('2026-10-01')).toBe(31 * 24 + 1)
  expect(hours('2026-02-01')).toBe(28 * 24)
})

test('one moment is in two months at the two ends of the world', () => {
  const moment = at('2026-01-31T12:00:00.000Z')
  expect(monthOf(moment, 'Pacific/Kiritimati')).toBe('2026-02-01')
  expect(monthOf(moment, 'Pacific/Niue')).toBe('2026-01-01')
})

test('December is followed by January, and an unknown zone is refused', () => {
  expect(nextMonth('2026-12-01')).toBe('2027-01-01')
  expect(nextMonth('2026-09-01')).toBe('2026-10-01')
  expect(() => monthOf(at('2026-01-01T00:00:00Z'), 'Mars/Olympus')).toThrow(RangeError)
})

test('what comes after its month was billed counts now, everything else in its own month', () => {
  const now = at('2026-03-20T00:00:00Z')
  const used = at('2026-01-10T00:00:00Z')
  expect(chargedMonth(used, now, 'UTC', null)).toBe('2026-01-01')
  expect(chargedMonth(used, now, 'UTC', '2025-12-01')).toBe('2026-01-01')
  expect(chargedMonth(used, now, 'UTC', '2026-01-01')).toBe('2026-03-01')
  expect(chargedMonth(used, now, 'UTC', '2026-02-01')).toBe('2026-03-01')
})
