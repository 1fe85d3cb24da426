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
