import { describe, expect, test } from 'vitest'
import { isOurSend } from './look-up-match.ts'

const expected = { texts: ['Really?', 'Really?\n\n1. Yes\n2. No'], mediaType: null, claimed: new Set(['old']) }
const listed = (changes: Partial<{ id: string; type: string; text: string | null }> = {}) => ({
  id: 'new',
  type: 'text',
  text: 'Really?',
  ...changes,
})

describe('looking up a send that was never answered', () => {
  test('finds the same words', () => {
    expect(isOurSend(listed(), expected)).toBe(true)
  })

  test('finds it in its typed form, and as the gateway wrote it back', () => {
    expect(isOurSend(listed({ text: 'Really?\r\n\r\n1. Yes\r\n2. No ' }), expected)).toBe(true)
    expect(isOurSend(listed({ text: 'Cafe\u0301' }), { ...expected, texts: ['Café'] })).toBe(true)
  })

  test('does not take the same words that another message of ours stands for', () => {
    expect(isOurSend(listed({ id: 'old' }), expected)).toBe(false)
  })

  test.each([['Really'], ['Really? Yes'], [''], [null]])('does not take other words: %j', (text) => {
    expect(isOurSend(listed({ text }), expected)).toBe(false)
  })

  test('takes a file by its kind and its words', () => {
    const picture = { texts: ['Look'], mediaType: 'image', claimed: new Set<string>() }
    expect(isOurSend(listed({ type: 'image', text: 'Look' }), picture)).toBe(true)
    expect(isOurSend(listed({ type: 'video', text: 'Look' }), picture)).toBe(false)
    expect(isOurSend(listed({ type: 'image', text: 'Other' }), picture)).toBe(false)
  })

  test('takes a file without words only when it has none', () => {
    const audio = { texts: [], mediaType: 'audio', claimed: new Set<string>() }
    expect(isOurSend(listed({ type: 'voice', text: null }), audio)).toBe(true)
    expect(isOurSend(listed({ type: 'audio', text: 'x' }), audio)).toBe(false)
  })
})
