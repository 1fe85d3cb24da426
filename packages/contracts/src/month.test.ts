import { expect, test } from 'vitest'
import { monthOf, startOfMonth } from './month.ts'

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

test('the last millisecond before a month is of an earlier one, the first is of it, in every zone', () => {
  for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/St_Johns', 'Pacific/Niue', 'Europe/Paris', 'Australia/Lord_Howe']) {
    const start = startOfMonth('2026-04-01', zone)
    expect([monthOf(new Date(start.getTime() - 1), zone), monthOf(start, zone)]).toEqual(['2026-03-01', '2026-04-01'])
  }
})

test('a month that begins while the clocks jump over midnight begins at one', () => {
  // Paraguay, 1 October 2017: 00:00 became 01:00 (UTC-4 to UTC-3).
  expect(startOfMonth('2017-10-01', 'America/Asuncion')).toEqual(at('2017-10-01T04:00:00.000Z'))
})

test('one moment is in two months at the two ends of the world', () => {
  const moment = at('2026-01-31T12:00:00.000Z')
  expect(monthOf(moment, 'Pacific/Kiritimati')).toBe('2026-02-01')
  expect(monthOf(moment, 'Pacific/Niue')).toBe('2026-01-01')
})

test('an unknown zone is refused', () => {
  expect(() => monthOf(at('2026-01-01T00:00:00Z'), 'Mars/Olympus')).toThrow(RangeError)
})

test('what was asked before does not answer for another minute, month or zone', () => {
  const asked = () => [
    monthOf(at('2026-01-31T23:59:59.999Z'), 'UTC'),
    monthOf(at('2026-02-01T00:00:00.000Z'), 'UTC'),
    monthOf(at('2026-01-31T23:59:00.000Z'), 'UTC'),
    monthOf(at('2026-01-31T23:59:00.000Z'), 'Europe/Paris'),
    startOfMonth('2026-02-01', 'UTC').toISOString(),
    startOfMonth('2026-03-01', 'UTC').toISOString(),
    startOfMonth('2026-02-01', 'Europe/Paris').toISOString(),
  ]
  expect(asked()).toEqual([
    '2026-01-01',
    '2026-02-01',
    '2026-01-01',
    '2026-02-01',
    '2026-02-01T00:00:00.000Z',
    '2026-03-01T00:00:00.000Z',
    '2026-01-31T23:00:00.000Z',
  ])
  startOfMonth('2026-02-01', 'UTC').setTime(0)
  expect(startOfMonth('2026-02-01', 'UTC')).toEqual(at('2026-02-01T00:00:00.000Z'))
})

test('a month that began between two minutes, as in Liberia until 1972, begins there', () => {
  // 44 minutes and 30 seconds behind.
  const start = startOfMonth('1971-05-01', 'Africa/Monrovia')
  expect(start).toEqual(at('1971-05-01T00:44:30.000Z'))
  expect([monthOf(new Date(start.getTime() - 1), 'Africa/Monrovia'), monthOf(start, 'Africa/Monrovia')]).toEqual([
    '1971-04-01',
    '1971-05-01',
  ])
})
