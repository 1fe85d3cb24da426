import { expect, test } from 'vitest'
import { accessTokenMs, decideRotation, type KeyDates, publishAheadMs, signingKeyAt } from './signing-keys.ts'

const now = new Date('2026-03-01T12:00:00Z')
const day = 86_400_000
const after = (ms: number) => new Date(now.getTime() + ms)
const key = (kid: string, activeFrom: Date, trustedUntil: Date | null = null): KeyDates => ({ kid, activeFrom, trustedUntil })

test('without a key one is made that signs at once', () => {
  expect(decideRotation([], now)).toEqual({ create: now, retire: [], forget: [] })
})

test('a young key stays alone', () => {
  expect(decideRotation([key('a', after(-10 * day))], now)).toEqual({ create: null, retire: [], forget: [] })
})

test('the only key signs already when another replica made it by a clock ahead of ours, and no second is made', () => {
  const keys = [key('a', after(1_500))]
  expect(signingKeyAt(keys, now)?.kid).toBe('a')
  expect(decideRotation(keys, now)).toEqual({ create: null, retire: [], forget: [] })
  expect(decideRotation(keys, now, ['a'])).toMatchObject({ create: now, retire: [{ kid: 'a' }] })
})

test('a key that waits for its day does not sign before it because the one before it is lost or retired', () => {
  const waiting = key('b', after(day))
  expect(decideRotation([key('a', after(-29 * day)), waiting], now, ['a'])).toMatchObject({ create: now })
  expect(signingKeyAt([key('a', after(-29 * day), after(1)), waiting], now)).toBeUndefined()
})

test('a day before a key is 30 days old the next one is published, and the old one signs on', () => {
  const keys = [key('a', after(-29 * day))]
  expect(decideRotation(keys, now)).toEqual({ create: after(day), retire: [], forget: [] })
  expect(decideRotation([...keys, key('b', after(day))], now).create).toBeNull()
  expect(signingKeyAt([...keys, key('b', after(day))], now)?.kid).toBe('a')
})

test('a key that is overdue still gives its successor a day to be heard of', () => {
  expect(decideRotation([key('a', after(-90 * day))], now).create).toEqual(after(publishAheadMs))
})

test('when the next one signs, the one before is trusted for as long as its tokens live and clocks differ', () => {
  const { retire, create } = decideRotation([key('a', after(-31 * day)), key('b', after(-1))], now)
  expect(create).toBeNull()
  expect(retire).toEqual([{ kid: 'a', trustedUntil: after(accessTokenMs + 120_000) }])
})

test('what no token names any more is forgotten, and never signs', () => {
  const keys = [key('a', after(-40 * day), after(-1)), key('b', after(-9 * day))]
  expect(decideRotation(keys, now).forget).toEqual(['a'])
  expect(signingKeyAt(keys, now)?.kid).toBe('b')
})

test('a key that opens no more ends, and another one signs at once when there is none', () => {
  const keys = [key('a', after(-10 * day)), key('b', after(day))]
  expect(decideRotation(keys, now, ['a', 'b'])).toMatchObject({ create: now, retire: [{ kid: 'a' }, { kid: 'b' }] })
  expect(decideRotation(keys, now, ['b'])).toMatchObject({ create: null, retire: [{ kid: 'b' }] })
})
