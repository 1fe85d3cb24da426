import { expect, test } from 'vitest'
import { fitsEvent, WrittenText } from './primitives.ts'

const written = WrittenText(32_768)

test.each([
  ['blanks', ' \t\n\u00a0\u3000'],
  ['zero-width characters', '\u200b\u200c\u200d\u2060\ufeff'],
  ['marks of direction', '\u200e\u200f\u202a\u202e\u2066'],
  ['controls', '\u0001\u0085'],
  ['a soft hyphen and fillers', '\u00ad\u115f\u3164\uffa0\u034f'],
  ['variation selectors and tags', '\ufe0f\u{e0100}\u{e0041}'],
  ['an empty Braille cell', '\u2800'],
])('a text of %s alone says nothing', (_, text) => {
  expect(written.safeParse(text).success).toBe(false)
})

test.each(['.', '👍🏽', '👨‍👩‍👧', 'می‌خواهم', '\u200fשלום', 'é', 'e\u0301', '❤️', '\u0301', '한'])('%j is a text', (text) => {
  expect(written.parse(text)).toBe(text)
})

test('the limit is that of what is stored: quotes take two bytes, most of Asia three', () => {
  for (const text of ['"'.repeat(32_768), '漢'.repeat(22_000), '\n.'.repeat(16_000)]) {
    expect(fitsEvent(text)).toBe(false)
    expect(written.safeParse(text).error?.message).toContain('bytes')
  }
  for (const text of ['a'.repeat(32_768), '"'.repeat(20_000), '漢'.repeat(13_000)]) expect(written.parse(text)).toBe(text)
})
