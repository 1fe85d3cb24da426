import { expect, test } from 'vitest'
import { indexText } from './index-text.ts'

test('a text that fits an index is kept as it is', () => {
  expect(indexText('wamid.HBgL==')).toBe('wamid.HBgL==')
  expect(indexText('x'.repeat(2_000))).toBe('x'.repeat(2_000))
})

test.each(['漢', 'é', '🌹', 'x'])(
  'a text of any length in %j takes no more than an index holds, and stays told apart',
  (letter) => {
    const texts = [1_000, 5_000, 5_001].map((length) => indexText(`${letter.repeat(length)}`))
    for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2_000)
    expect(new Set(texts).size).toBe(3)
  },
)

test('a text that no column holds becomes one that does', () => {
  expect(indexText('a\0b')).toBe('a\uFFFDb')
})
