import { expect, test } from 'vitest'
import { createCallShare, mostWaiting } from './call-share.ts'

/** Calls that end when they are told to. */
function openCalls(places: number) {
  const share = createCallShare(places)
  const running: { who: string; end: () => void }[] = []
  const call = (who: string) =>
    share(who, () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const entry = { who, end: resolve }
      running.push(entry)
      return promise.finally(() => running.splice(running.indexOf(entry), 1))
    })
  return {
    call,
    running: (who: string) => running.filter((entry) => entry.who === who).length,
    /** Ends one, and lets those that follow from it begin. */
    async end(who: string) {
      running.find((entry) => entry.who === who)?.end()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

test('whoever asks for much at once never has every place, and the next one to come has one at once', () => {
  const { call, running } = openCalls(12)
  for (let i = 0; i < 40; i++) void call('loud')
  expect(running('loud')).toBe(9)
  void call('quiet')
  expect(running('quiet')).toBe(1)
})

test('each of several has as much as the others, and what one leaves the next calls of the others take', async () => {
  const { call, running, end } = openCalls(12)
  for (let i = 0; i < 40; i++) void call('loud')
  for (let i = 0; i < 40; i++) void call('also loud')
  expect(running('also loud')).toBe(4)
  for (let i = 0; i < 9; i++) await end('loud')
  expect(running('loud')).toBe(4)
})

test('every call that waits has its turn, in order, also when the share of its own is one', async () => {
  const { call, end } = openCalls(1)
  const ended: number[] = []
  for (let i = 0; i < 20; i++) void call('one').then(() => ended.push(i))
  for (let i = 0; i < 20; i++) await end('one')
  expect(ended).toEqual(Array.from({ length: 20 }, (_, i) => i))
})

test('a failed call gives its place back', async () => {
  const share = createCallShare(1)
  await expect(share('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(share('one', () => Promise.resolve('yes'))).resolves.toBe('yes')
})

test('who has hundreds waiting is told to come back, and nobody else is', async () => {
  const { call, running } = openCalls(4)
  for (let i = 0; i < 3 + mostWaiting; i++) void call('loud')
  await expect(call('loud')).rejects.toMatchObject({ code: 'too_many_requests', details: { retryAfterMs: 1_000 } })
  void call('quiet')
  expect(running('quiet')).toBe(1)
})
