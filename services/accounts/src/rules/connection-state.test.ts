import { expect, test } from 'vitest'
import { afterReport, afterTest, type ConnectionState, nextTestAt, provesRefused } from './connection-state.ts'

const active: ConnectionState = { status: 'active', errorCount: 0, unreachedTests: 0 }
const now = new Date('2026-11-21T10:00:00.000Z')

test('a try settles what was pending, mends what was broken, and breaks what is refused', () => {
  const pending: ConnectionState = { status: 'pending', errorCount: 1, unreachedTests: 1 }
  expect(afterTest(pending, 'ok')).toEqual(active)
  expect(afterTest({ ...active, status: 'error', errorCount: 9 }, 'ok')).toEqual(active)
  expect(afterTest(active, 'refused')).toEqual({ status: 'error', errorCount: 1, unreachedTests: 0 })
})

test('a provider that is away breaks nothing that worked', () => {
  expect(afterTest(active, 'unreachable').status).toBe('active')
})

test('what somebody switched off stays off, whatever the provider says', () => {
  for (const outcome of ['ok', 'refused', 'unreachable'] as const) {
    expect(afterTest({ ...active, status: 'inactive' }, outcome).status).toBe('inactive')
  }
  expect(afterReport({ ...active, status: 'inactive' }, 'ok').state.status).toBe('inactive')
  expect(afterReport({ ...active, status: 'removed', errorCount: 5 }, 'refused')).toMatchObject({
    state: { status: 'removed' },
    test: false,
  })
})

test('a pending connection is tried again, ever more rarely, and not for ever', () => {
  let state: ConnectionState = { status: 'pending', errorCount: 0, unreachedTests: 0 }
  const waits: (number | null)[] = []
  for (let i = 0; i < 7; i++) {
    state = afterTest(state, 'unreachable')
    const at = nextTestAt(state, now)
    waits.push(at && (at.getTime() - now.getTime()) / 60_000)
  }
  expect(waits).toEqual([1, 5, 15, 60, 240, 720, null])
  expect(nextTestAt(active, now)).toBeNull()
})

test('one refusal is looked into, the third in a row is believed', () => {
  const first = afterReport(active, 'refused')
  expect(first).toEqual({ state: { ...active, errorCount: 1 }, test: true })
  const second = afterReport(first.state, 'refused')
  expect(second).toMatchObject({ state: { status: 'active', errorCount: 2 }, test: true })
  expect(afterReport(second.state, 'refused')).toMatchObject({ state: { status: 'error', errorCount: 3 }, test: false })
})

test('refusals that our own tries contradict do not go on for ever: the third still counts', () => {
  let state = active
  const seen: string[] = []
  for (let i = 0; i < 3; i++) {
    const reported = afterReport(state, 'refused')
    seen.push(`${reported.state.status} ${reported.test}`)
    state = reported.test ? afterTest(reported.state, 'ok', true) : reported.state
  }
  expect(seen).toEqual(['active true', 'active true', 'error false'])
})

test('services go on only after a try that contradicts a refusal', () => {
  expect(provesRefused({ ...active, errorCount: 1 }, 'ok')).toBe(true)
  expect(provesRefused({ ...active, status: 'error', errorCount: 3 }, 'ok')).toBe(true)
  expect(provesRefused(active, 'ok')).toBe(false)
  expect(provesRefused({ ...active, errorCount: 1 }, 'unreachable')).toBe(false)
  expect(provesRefused({ ...active, status: 'inactive', errorCount: 1 }, 'ok')).toBe(false)
})

test('a call that succeeds ends the count, a throttled one is no failure, a failed one never breaks', () => {
  expect(afterReport({ ...active, status: 'error', errorCount: 4 }, 'ok').state).toEqual(active)
  expect(afterReport({ ...active, errorCount: 2 }, 'throttled')).toEqual({ state: { ...active, errorCount: 2 }, test: false })
  expect(afterReport({ ...active, errorCount: 20 }, 'failed')).toMatchObject({
    state: { status: 'active', errorCount: 21 },
    test: false,
  })
})
