import { describe, expect, test } from 'vitest'
import { duplicateNote, providerTimeOf, verdictOf } from './verdict.ts'

const item = (eventType: string | null, note: string | null = null) => ({ eventType, note })

describe('what a receipt says', () => {
  test('a used fact makes it done', () => {
    expect(verdictOf([item(null, 'presences are not used.'), item('message.received')])).toEqual({
      state: 'done',
      note: 'presences are not used.',
    })
  })

  test('nothing but unknown forms is ignored, and says so', () => {
    expect(verdictOf([item('webhook.unrecognised', 'Unknown topic.')])).toEqual({
      state: 'ignored',
      note: 'unrecognised: Unknown topic.',
    })
  })

  test('what is known and of no use is ignored with the reason', () => {
    expect(verdictOf([item(null, 'chats are not used.'), item(null, 'chats are not used.')])).toEqual({
      state: 'ignored',
      note: 'chats are not used.',
    })
  })

  test('a delivery of nothing is ignored', () => {
    expect(verdictOf([])).toEqual({ state: 'ignored', note: 'empty' })
  })
})

describe('a duplicate', () => {
  test('names the receipt that came first', () => {
    expect(duplicateNote(['r-1', 'r-1'])).toBe('duplicate of r-1')
  })

  test('of several names one and counts the others, always in the same words', () => {
    expect(duplicateNote(['r-2', 'r-1', 'r-3'])).toBe('duplicate of r-1 and 2 more')
    expect(duplicateNote(['r-3', 'r-2', 'r-1'])).toBe(duplicateNote(['r-1', 'r-2', 'r-3']))
  })
})

test('the time of a delivery is the first that its facts name', () => {
  expect(providerTimeOf([{ status: 'x' }, { sentAt: '2026-01-01T00:00:00.000Z' }])).toBe('2026-01-01T00:00:00.000Z')
  expect(providerTimeOf([{ updatedAt: null, triggeredAt: null }])).toBeNull()
})
