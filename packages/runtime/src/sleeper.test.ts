import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createSleeper } from './sleeper.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a sleep lasts its time', async () => {
  const woke = vi.fn<() => void>()
  void createSleeper().sleep(100).then(woke)
  await vi.advanceTimersByTimeAsync(99)
  expect(woke).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(woke).toHaveBeenCalledOnce()
})

test('a sleeper that is woken leaves no timer behind', async () => {
  const sleeper = createSleeper()
  const slept = sleeper.sleep(60_000)
  sleeper.wake()
  await slept
  expect(vi.getTimerCount()).toBe(0)
})

test('a wake that finds nobody asleep does not cut the next sleep short', async () => {
  const sleeper = createSleeper()
  sleeper.wake()
  const woke = vi.fn<() => void>()
  void sleeper.sleep(100).then(woke)
  await vi.advanceTimersByTimeAsync(99)
  expect(woke).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(woke).toHaveBeenCalledOnce()
})
