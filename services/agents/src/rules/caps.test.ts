import { expect, test } from 'vitest'
import { cappedBy, dayOf, nextTryMs } from './caps.ts'

const caps = { turnsPerDay: 100, loopTurns: 10 }

test('two bots that answer each other stop after ten answers', () => {
  expect(cappedBy({ today: 9, inLoopWindow: 9 }, caps)).toBeNull()
  expect(cappedBy({ today: 10, inLoopWindow: 10 }, caps)).toBe('bot_loop')
})

test('one conversation cannot take more turns a day than its cap', () => {
  expect(cappedBy({ today: 99, inLoopWindow: 0 }, caps)).toBeNull()
  expect(cappedBy({ today: 100, inLoopWindow: 0 }, caps)).toBe('turns_per_day')
})

test('a model that stays away is asked a bounded number of times, each within half a minute', () => {
  expect([1, 2, 3].map((failures) => nextTryMs(failures, 3, 2_000, null))).toEqual([2_000, 6_000, null])
  expect(nextTryMs(1, 3, 2_000, 9_000)).toBe(9_000)
  expect(nextTryMs(1, 3, 2_000, 86_400_000)).toBe(30_000)
})

test('a day is a UTC day', () => {
  expect(dayOf(new Date('2026-03-01T00:30:00+02:00'))).toBe('2026-02-28')
})
