import { expect, test, vi } from 'vitest'
import { createClock } from './clock.ts'
import type { Logger } from './log.ts'

const minuteMs = 60_000

/** A machine and a database that both began at `startMs`; the machine's clock can be set, and each answer takes its time. */
function worldOfClocks({ answerMs = 0 } = {}) {
  const startMs = Date.UTC(2026, 0, 1)
  let passedMs = 0
  let aheadMs = 0
  const log = { info: vi.fn(), warn: vi.fn() }
  const clock = createClock(log as unknown as Logger, {
    wall: () => startMs + passedMs + aheadMs,
    monotonic: () => passedMs + 777,
  })
  const query = vi.fn(async () => {
    passedMs += answerMs
    const ms = startMs + passedMs
    passedMs += answerMs
    return [{ ms }]
  })
  return {
    clock,
    log,
    query,
    database: { query: query as never },
    right: () => startMs + passedMs,
    pass: (ms: number) => void (passedMs += ms),
    setAhead: (ms: number) => void (aheadMs = ms),
  }
}

test('a machine that keeps its time is believed to the millisecond', async () => {
  const world = worldOfClocks()
  world.setAhead(900)
  await world.clock.keepBy(world.database)
  expect(world.clock.now()).toBe(world.right() + 900)
  expect(world.log.warn).not.toHaveBeenCalled()
  world.clock.stop()
})

test('a machine whose clock is wrong uses the time of the database, and says so once', async () => {
  for (const aheadMs of [10 * minuteMs, -10 * minuteMs]) {
    const world = worldOfClocks()
    world.setAhead(aheadMs)
    await world.clock.keepBy(world.database)
    expect(world.clock.now()).toBe(world.right())
    expect(world.clock.skewMs()).toBe(aheadMs)
    expect(world.log.warn).toHaveBeenCalledExactlyOnceWith({ skewSeconds: aheadMs / 1000 }, expect.any(String))
    world.clock.stop()
  }
})

test('a clock that jumps back an hour changes nothing, not even until the next comparison', async () => {
  const world = worldOfClocks()
  await world.clock.keepBy(world.database)
  world.pass(5_000)
  world.setAhead(-60 * minuteMs)
  expect(world.clock.now()).toBe(world.right())
  expect(world.query).toHaveBeenCalledTimes(1)
  world.setAhead(0)
  expect(world.clock.now()).toBe(world.right())
  world.clock.stop()
})

test('before the database was asked, the machine is all there is', () => {
  const world = worldOfClocks()
  world.setAhead(10 * minuteMs)
  expect(world.clock.now()).toBe(world.right() + 10 * minuteMs)
  expect(world.clock.skewMs()).toBeUndefined()
})

test('an answer that took long is asked for again, and a slow database still gives a time', async () => {
  const world = worldOfClocks({ answerMs: 3_000 })
  world.query.mockImplementationOnce(async () => {
    world.pass(5_000)
    return [{ ms: world.right() }]
  })
  await world.clock.keepBy(world.database)
  expect(world.query.mock.calls.length).toBeGreaterThan(1)
  // The first, bad one was kept, for want of a better one: wrong by half of what it took at most.
  expect(Math.abs(world.clock.skewMs() ?? Number.NaN)).toBeLessThanOrEqual(2_500)
  world.clock.stop()
})

test('later comparisons follow a database that was put right, and a failed one changes nothing', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const world = worldOfClocks()
    await world.clock.keepBy(world.database)
    world.query.mockRejectedValueOnce(new Error('the database is away'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(world.clock.now()).toBe(world.right())
    world.query.mockImplementationOnce(async () => [{ ms: world.right() + 2 * minuteMs }])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(world.clock.now()).toBe(world.right() + 2 * minuteMs)
    expect(world.log.warn).toHaveBeenCalledExactlyOnceWith({ skewSeconds: -120 }, expect.any(String))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(world.clock.now()).toBe(world.right())
    expect(world.log.info).toHaveBeenLastCalledWith({ skewSeconds: 0 }, expect.any(String))
    world.clock.stop()
  } finally {
    vi.useRealTimers()
  }
})

test('one process has one time: a second database is not asked', async () => {
  const world = worldOfClocks()
  await world.clock.keepBy(world.database)
  await world.clock.keepBy({ query: (async () => [{ ms: 0 }]) as never })
  expect(world.clock.now()).toBe(world.right())
  world.clock.stop()
})
