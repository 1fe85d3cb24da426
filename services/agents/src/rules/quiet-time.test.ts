import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTooLate, waitUntil } from './quiet-time.ts'

const quiet = { quietMs: 1_500, maxMs: 8_000 }
const at = (ms: number) => new Date(1_700_000_000_000 + ms)

test.each([
  ['still typing', 0, 0, 400, 1_500],
  ['quiet long enough', 0, 0, 1_500, null],
  ['a second message starts the quiet time again', 0, 1_000, 1_600, 2_500],
  ['the oldest has waited long enough', 0, 7_900, 8_000, null],
  ['never past the longest wait', 0, 7_000, 7_100, 8_000],
  ['a message from the future delays nothing', 0, 600_000, 100, null],
])('%s', (_, oldest, newest, now, expected) => {
  expect(waitUntil({ oldestAt: at(oldest), newestAt: at(newest) }, quiet, at(now))).toEqual(
    expected === null ? null : at(expected),
  )
})

test('whoever waits until the given moment is answered then, and nobody waits longer than the maximum', () => {
  fc.assert(
    fc.property(fc.nat(9_000), fc.nat(9_000), fc.nat(20_000), (first, gap, wait) => {
      const waiting = { oldestAt: at(first), newestAt: at(first + gap) }
      const now = at(first + gap + wait)
      const until = waitUntil(waiting, quiet, now)
      if (until === null) return
      expect(until.getTime()).toBeGreaterThan(now.getTime())
      expect(until.getTime()).toBeLessThanOrEqual(waiting.oldestAt.getTime() + quiet.maxMs)
      expect(waitUntil(waiting, quiet, until)).toBeNull()
    }),
  )
})

test('a day after the last words an answer would startle', () => {
  const now = new Date('2026-01-02T12:00:00.000Z')
  expect(isTooLate(new Date('2026-01-01T12:00:00.000Z'), now)).toBe(false)
  expect(isTooLate(new Date('2026-01-01T11:59:59.999Z'), now)).toBe(true)
})
