import { describe, expect, test } from 'vitest'
import { effectOfLookUp, effectOfSend, failureOf } from './outcomes.ts'

describe('the answer to a send', () => {
  test('with an id is done', () => {
    expect(effectOfSend({ outcome: 'sent', providerMessageId: 'm-1', sentAt: '2026-01-02T03:04:05.000Z' })).toEqual({
      outcome: 'done',
      reference: 'm-1',
      at: new Date('2026-01-02T03:04:05Z'),
    })
  })

  test('that the token is refused means nothing was sent', () => {
    expect(effectOfSend({ outcome: 'unauthorised', message: 'no' })).toEqual({ outcome: 'retry', afterMs: null, message: 'no' })
  })

  test.each([
    { outcome: 'refused', message: 'blocked' },
    { outcome: 'retry', afterMs: 500, message: 'slow down' },
    { outcome: 'unknown', message: 'cut off' },
  ] as const)('$outcome stays $outcome', (send) => {
    expect(effectOfSend(send)).toEqual(send)
  })
})

describe('the answer to a look-up', () => {
  test('found is done, absent is absent', () => {
    expect(effectOfLookUp({ outcome: 'found', providerMessageId: 'm-1', sentAt: '2026-01-02T03:04:05.000Z' })).toMatchObject({
      outcome: 'done',
      reference: 'm-1',
    })
    expect(effectOfLookUp({ outcome: 'absent' })).toEqual({ outcome: 'absent' })
  })

  test.each(['unsure', 'refused', 'unauthorised', 'retry'] as const)('%s is never taken for absent', (outcome) => {
    expect(['unknown', 'retry']).toContain(effectOfLookUp({ outcome, message: 'x', afterMs: null }).outcome)
  })
})

describe('why a message will not go out', () => {
  test('the gateway refused it', () => expect(failureOf('refused', 'refused')).toBe('refused'))
  test('the gateway took nothing until no try was left', () => expect(failureOf('refused', 'retry')).toBe('unreachable'))
  test.each(['unknown', 'retry', null] as const)('nobody knows, whatever the last send said (%s)', (last) => {
    expect(failureOf('unknown', last)).toBe('unknown_outcome')
  })
})
