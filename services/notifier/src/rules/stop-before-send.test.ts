import { describe, expect, test } from 'vitest'
import { type BeforeSend, stopBeforeSend } from './stop-before-send.ts'

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second))
const answer = (changes: Partial<BeforeSend> = {}): BeforeSend => ({
  sender: 'agent',
  basedOnVersion: 4,
  requestedAt: at(10),
  lastHumanVersion: null,
  withdrawnAt: null,
  ...changes,
})

describe('an answer of an agent', () => {
  test('is overtaken by a person who wrote after what it was based on', () => {
    expect(stopBeforeSend(answer({ lastHumanVersion: 5 }))).toBe('overtaken_by_person')
  })

  test.each([
    ['nobody of the shop ever wrote', { lastHumanVersion: null }],
    ['the person wrote before, so the agent had read it', { lastHumanVersion: 3 }],
    ['the person wrote the very message that the agent had read last', { lastHumanVersion: 4 }],
    ['it is to be sent whatever happened', { basedOnVersion: null, lastHumanVersion: 5 }],
  ])('goes out when %s', (_name, changes) => {
    expect(stopBeforeSend(answer(changes))).toBeNull()
  })

  test('is held back when the customer said stop after it was asked for', () => {
    expect(stopBeforeSend(answer({ withdrawnAt: at(11) }))).toBe('no_consent')
  })

  test('is held back when both fall on the same moment: a tie goes to the customer', () => {
    expect(stopBeforeSend(answer({ withdrawnAt: at(10) }))).toBe('no_consent')
  })

  test('goes out when it was asked for after the stop', () => {
    expect(stopBeforeSend(answer({ withdrawnAt: at(9) }))).toBeNull()
  })
})

test.each(['human', 'system'] as const)(
  'what a %s sender wrote goes out even after a stop: its confirmation is such a message',
  (sender) => {
    expect(stopBeforeSend(answer({ sender, basedOnVersion: null, withdrawnAt: at(11) }))).toBeNull()
  },
)
