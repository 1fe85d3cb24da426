import { describe, expect, test } from 'vitest'
import type { Counters } from '../bus-counters.ts'
import { openLog } from '../log.ts'
import { createLimiter, type Limiter } from './limiter.ts'

const log = openLog({ name: 'test', level: 'silent' })
const start = Date.parse('2026-03-01T12:00:00Z')

/** Counters that answer late, in an order of their own, and can be away. */
function counters() {
  const kept = new Map<string, { window: number; count: number }>()
  const control = { away: false, asked: 0, most: 0 }
  const shared: Counters = {
    async raise(name, window, raise) {
      control.asked++
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
      if (control.away) throw new Error('away')
      const known = kept.get(name) ?? { window: 0, count: 0 }
      const latest = Math.max(window, known.window)
      const before = known.window === latest ? known.count : 0
      const by = raise(before)
      kept.set(name, { window: latest, count: before + by })
      return { window: latest, before, by }
    },
  }
  return { shared, control }
}

function setup(replicas: number) {
  const { shared, control } = counters()
  let time = start
  const limiters = Array.from({ length: replicas }, () => createLimiter({ counters: shared, log, now: () => time }))
  const replica = (index: number) => limiters[index % replicas] as Limiter
  return {
    control,
    replica,
    pass: (ms: number) => {
      time += ms
    },
    /** Calls spread over all replicas; answers how many went through. */
    async calls(count: number, limits = { perMinute: 100 as number | null, perDay: null as number | null }) {
      const verdicts = await Promise.all(Array.from({ length: count }, (_, i) => replica(i).admit('key', limits)))
      return verdicts.filter((verdict) => !verdict.refusedBy).length
    },
  }
}

describe('the limit of a key', () => {
  test('holds over all replicas together, to the call', async () => {
    const { calls, pass } = setup(4)
    expect(await calls(1_000)).toBe(100)
    expect(await calls(100)).toBe(0)
    pass(60_000)
    expect(await calls(1_000)).toBe(100)
  })

  test('costs few round trips', async () => {
    const { calls, control } = setup(2)
    expect(await calls(500, { perMinute: 10_000, perDay: null })).toBe(500)
    expect(control.asked).toBeLessThanOrEqual(4)
  })

  test('that is used up costs none at all', async () => {
    const { calls, control } = setup(1)
    await calls(200)
    const before = control.asked
    await calls(1_000)
    expect(control.asked).toBe(before)
  })

  test('of the day refuses without using up the minute', async () => {
    const { replica, calls } = setup(1)
    expect(await calls(10, { perMinute: 100, perDay: 5 })).toBe(5)
    const verdict = await replica(0).admit('key', { perMinute: 100, perDay: 5 })
    expect(verdict.refusedBy?.name).toBe('day')
    expect(verdict.states.map(({ remaining }) => remaining)).toEqual([95, 0])
    expect(verdict.states[1]?.resetSeconds).toBe(43_200)
  })

  test('is told truly: what remains falls with each call', async () => {
    const { replica } = setup(1)
    const seen: (number | undefined)[] = []
    for (let i = 0; i < 5; i++) {
      const { states } = await replica(0).admit('key', { perMinute: 4, perDay: null })
      seen.push(states[0]?.remaining)
    }
    expect(seen).toEqual([3, 2, 1, 0, 0])
  })
})

describe('while the broker is away', () => {
  test('each replica lets the whole limit through, and no more', async () => {
    const { calls, control } = setup(2)
    control.away = true
    expect(await calls(1_000)).toBe(200)
  })

  test('what was let through counts once it is back', async () => {
    const { calls, control } = setup(1)
    control.away = true
    expect(await calls(60)).toBe(60)
    control.away = false
    await new Promise((resolve) => setTimeout(resolve, 1_050))
    expect(await calls(1_000)).toBe(40)
  })
})

test('a clock that is behind does not open the window before again', async () => {
  const { shared } = counters()
  const ahead = createLimiter({ counters: shared, log, now: () => start + 60_000 })
  const behind = createLimiter({ counters: shared, log, now: () => start })
  const limits = { perMinute: 10, perDay: null }
  for (let i = 0; i < 10; i++) expect((await ahead.admit('key', limits)).refusedBy).toBeUndefined()
  expect((await behind.admit('key', limits)).refusedBy?.name).toBe('minute')
})
