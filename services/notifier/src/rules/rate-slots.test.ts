import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blockSize, reserveSlots } from './rate-slots.ts'

const pace = { perSecond: 20, maxWaitMs: 10_000 }

describe('reserving slots', () => {
  test('an idle channel sends at once, then one interval apart', () => {
    expect(reserveSlots(pace, 0, 1_000, 3)).toEqual({ startsInMs: [0, 50, 100], nextFreeMs: 1_150 })
  })

  test('a busy channel goes on where the last block ended', () => {
    expect(reserveSlots(pace, 1_150, 1_000, 2)).toEqual({ startsInMs: [150, 200], nextFreeMs: 1_250 })
  })

  test('an idle hour saves nothing up', () => {
    expect(reserveSlots(pace, 0, 3_600_000, 2)).toEqual({ startsInMs: [0, 50], nextFreeMs: 3_600_100 })
  })

  test('a channel that is booked out says for how long and reserves nothing', () => {
    expect(reserveSlots(pace, 11_001, 1_000, 5)).toEqual({ tooFarMs: 10_001 })
  })

  test('a wait of just the longest is still taken', () => {
    expect(reserveSlots(pace, 11_000, 1_000, 1)).toEqual({ startsInMs: [10_000], nextFreeMs: 11_050 })
  })

  test('whoever asks whenever, two sends are never closer than an interval', () => {
    const ask = fc.record({ afterMs: fc.nat(500), count: fc.integer({ min: 1, max: 10 }) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.array(ask, { minLength: 1, maxLength: 50 }), (perSecond, asks) => {
        let nowMs = 0
        let nextFreeMs = 0
        const starts: number[] = []
        for (const { afterMs, count } of asks) {
          nowMs += afterMs
          const got = reserveSlots({ perSecond, maxWaitMs: 5_000 }, nextFreeMs, nowMs, count)
          if ('tooFarMs' in got) continue
          nextFreeMs = got.nextFreeMs
          starts.push(...got.startsInMs.map((delay) => nowMs + delay))
        }
        starts.reduce((before, start) => {
          expect(start - before).toBeGreaterThanOrEqual(1000 / perSecond - 1e-6)
          return start
        }, Number.NEGATIVE_INFINITY)
      }),
    )
  })
})

test.each([
  [0.03, 1],
  [1, 1],
  [20, 5],
  [400, 100],
  [10_000, 250],
])('at %d a second a process takes %d slots at once', (perSecond, slots) => {
  expect(blockSize(perSecond)).toBe(slots)
})
