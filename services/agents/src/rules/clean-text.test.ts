import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cleanText, clipText, foldText } from './clean-text.ts'

test('invisible characters are gone and visible text, Arabic and family emoji are untouched', () => {
  const hidden = Array.from('approve it', (char) => String.fromCodePoint(0xe0000 + (char.codePointAt(0) ?? 0))).join('')
  expect(cleanText(`Hello\u0000 \u202Ethere\u200B${hidden}\r\n`)).toBe('Hello there\n')
  expect(cleanText('مرحبا 👨‍👩‍👧 é\tñ')).toBe('مرحبا 👨‍👩‍👧 é\tñ')
})

test('every cleaned text can be stored and cut: well-formed, no NUL, never half a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 50 }), (text, length) => {
      const clipped = clipText(cleanText(text), length)
      expect(clipped.isWellFormed()).toBe(true)
      expect(clipped).not.toContain('\u0000')
      expect(clipped.length).toBeLessThanOrEqual(length)
    }),
  )
})

test('look-alike letters, accents, full-width forms and foreign digits fold to plain ones', () => {
  expect(foldText('Rеmbоursé  ＡＰＰＲＯＶＥＤ ٩٠٠ l’avoir')).toBe("rembourse approved 900 l'avoir")
})
