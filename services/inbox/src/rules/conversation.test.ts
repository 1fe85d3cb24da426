import { expect, test } from 'vitest'
import { handOverReason, isErased, orderedAtIncoming, orderedAtOutgoing, statusAfterMessage } from './conversation.ts'

const at = (text: string) => new Date(`2026-03-01T${text}Z`)

test('a person who writes takes the conversation', () => {
  for (const status of ['open', 'closed', 'with_person'] as const) {
    expect(statusAfterMessage(status, { sender: 'human', chatKind: 'person' })).toBe('with_person')
  }
})

test('a customer who writes reopens a closed conversation for the agent, and leaves one that a person has', () => {
  expect(statusAfterMessage('closed', { sender: 'user', chatKind: 'person' })).toBe('open')
  expect(statusAfterMessage('with_person', { sender: 'user', chatKind: 'person' })).toBe('with_person')
})

test('agents and notices change nobody’s turn', () => {
  for (const status of ['open', 'closed', 'with_person'] as const) {
    expect(statusAfterMessage(status, { sender: 'agent', chatKind: 'person' })).toBe(status)
    expect(statusAfterMessage(status, { sender: 'system', chatKind: 'person' })).toBe(status)
  }
})

test('in a group nobody takes anything', () => {
  expect(statusAfterMessage('open', { sender: 'human', chatKind: 'group' })).toBe('open')
})

test('a message from the future is read where it arrived', () => {
  expect(orderedAtIncoming(at('10:05:00'), at('10:00:00'))).toEqual(at('10:00:00'))
  expect(orderedAtIncoming(at('09:00:00'), at('10:00:00'))).toEqual(at('09:00:00'))
})

test('an answer is never read before its question', () => {
  expect(orderedAtOutgoing(at('10:00:01'), at('10:00:00'))).toEqual(at('10:00:01'))
  expect(orderedAtOutgoing(at('09:00:00'), at('10:00:00'))).toEqual(at('10:00:00'))
  expect(orderedAtOutgoing(null, at('10:00:00'))).toEqual(at('10:00:00'))
})

test('what was sent up to the erasure is erased, what comes after is new', () => {
  expect(isErased(at('10:00:00'), at('10:00:00'))).toBe(true)
  expect(isErased(at('10:00:01'), at('10:00:00'))).toBe(false)
  expect(isErased(at('10:00:00'), null)).toBe(false)
})

test('a reason nobody knows counts as doubt', () => {
  expect(handOverReason('asked_for_person')).toBe('asked_for_person')
  expect(handOverReason('messages_used_up')).toBe('limit_reached')
  expect(handOverReason('customers_used_up')).toBe('limit_reached')
  expect(handOverReason('whatever')).toBe('model_unsure')
  expect(handOverReason(null)).toBe('model_unsure')
})
