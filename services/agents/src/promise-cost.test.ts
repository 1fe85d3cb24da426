import { expect, test } from 'vitest'
import { findPromise } from './rules/promises.ts'

test('figures without end are read once, in a reply and in the owner’s own words', () => {
  const cost = (length: number) => {
    const text = '7'.repeat(length)
    const groups = '111 '.repeat(length / 4)
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now()
      findPromise(text, groups)
      findPromise(groups, text)
      return performance.now() - started
    })
    return Math.min(...times)
  }
  cost(1_000)
  // Eight times the text is eight times the work, not sixty-four; a margin of three for what else a machine does.
  expect(cost(16_000) / cost(2_000)).toBeLessThan(24)
})
