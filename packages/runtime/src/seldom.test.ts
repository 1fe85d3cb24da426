import { expect, test } from 'vitest'
import { createSeldom } from './seldom.ts'

test('each name passes once, and again when its time is over', () => {
  let now = 0
  const seldom = createSeldom({ everyMs: 100, clock: () => now })
  expect([seldom.isDue('a'), seldom.isDue('a'), seldom.isDue('b')]).toEqual([true, false, true])
  now = 99
  expect(seldom.isDue('a')).toBe(false)
  now = 100
  expect([seldom.isDue('a'), seldom.isDue('a')]).toEqual([true, false])
})

test('a flood of names forgets the oldest and keeps its size', () => {
  const seldom = createSeldom({ everyMs: 100, clock: () => 0 })
  for (let i = 0; i < 10_001; i++) seldom.isDue(String(i))
  expect([seldom.isDue('0'), seldom.isDue('10000')]).toEqual([true, false])
})

test('what was held back is counted and told with the next that is let through', () => {
  let now = 0
  const seldom = createSeldom({ everyMs: 100, clock: () => now })
  expect([1, 2, 3].map(() => seldom.heldBack('a'))).toEqual([0, null, null])
  expect(seldom.heldBack('b')).toBe(0)
  now = 100
  expect([1, 2].map(() => seldom.heldBack('a'))).toEqual([2, null])
  now = 200
  expect(seldom.heldBack('a')).toBe(1)
})
