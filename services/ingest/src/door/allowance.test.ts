import { expect, test } from 'vitest'
import { createAllowance } from './allowance.ts'

function opened() {
  const clock = { ms: 0 }
  return { clock, allowance: createAllowance({ messages: 60, bytes: 6_000 }, () => clock.ms) }
}

test('who has used up their minute waits, and nobody else', () => {
  const { allowance, clock } = opened()
  for (let i = 0; i < 60; i++) {
    expect(allowance.secondsLeft('a')).toBe(0)
    allowance.spend('a', 1, 1)
  }
  expect([allowance.secondsLeft('a'), allowance.secondsLeft('b')]).toEqual([1, 0])
  clock.ms += 1_000
  expect(allowance.secondsLeft('a')).toBe(0)
})

test('bytes count as well as messages, and a large delivery is waited for afterwards', () => {
  const { allowance, clock } = opened()
  allowance.spend('a', 1, 9_000)
  expect(allowance.secondsLeft('a')).toBe(31)
  clock.ms += 31_000
  expect(allowance.secondsLeft('a')).toBe(0)
})

test('a quiet hour saves up no more than a minute’s worth', () => {
  const { allowance, clock } = opened()
  allowance.spend('a', 1, 1)
  clock.ms += 3_600_000
  allowance.spend('a', 60, 1)
  expect(allowance.secondsLeft('a')).toBe(1)
})
