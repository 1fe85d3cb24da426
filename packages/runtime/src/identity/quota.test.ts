import { describe, expect, test } from 'vitest'
import { decideGrant, type Quota, quotasOf, rateLimitHeaders, secondsLeft, windowAt } from './quota.ts'

describe('a grant', () => {
  test.each([
    [0, 600, 30],
    [500, 600, 25],
    [590, 600, 2],
    [599, 600, 1],
    [600, 600, 0],
    [700, 600, 0],
    [0, 1, 1],
    [1, 1, 0],
    [0, 10, 1],
  ])('with %i of %i used is %i', (used, limit, grant) => {
    expect(decideGrant(used, limit)).toBe(grant)
  })

  test('never exceeds what is left, and always gets to the end', () => {
    for (const limit of [1, 2, 7, 20, 100, 10_000]) {
      let used = 0
      for (let grant = decideGrant(used, limit); grant > 0; grant = decideGrant(used, limit)) used += grant
      expect(used).toBe(limit)
    }
  })
})

test('a key without limits has no quotas', () => {
  expect(quotasOf({ perMinute: null, perDay: null })).toEqual([])
  expect(rateLimitHeaders([])).toEqual({})
})

test('windows are minutes and days of UTC', () => {
  const [minute, day] = quotasOf({ perMinute: 5, perDay: 50 }) as [Quota, Quota]
  const at = Date.parse('2026-03-01T23:59:58.500Z')
  expect(windowAt(minute, at) + 1).toBe(windowAt(minute, at + 1_500))
  expect(windowAt(day, at) + 1).toBe(windowAt(day, at + 1_500))
  expect(secondsLeft(minute, windowAt(minute, at), at)).toBe(2)
  expect(secondsLeft(day, windowAt(day, at), at)).toBe(2)
  expect(secondsLeft(minute, windowAt(minute, at), at + 1_500)).toBe(1)
})

test('headers name each quota, what remains of it and when it begins again', () => {
  const states = quotasOf({ perMinute: 60, perDay: 1_000 }).map((quota) => ({ ...quota, remaining: 7, resetSeconds: 30 }))
  expect(rateLimitHeaders(states)).toEqual({
    'ratelimit-policy': '"minute";q=60;w=60, "day";q=1000;w=86400',
    ratelimit: '"minute";r=7;t=30, "day";r=7;t=30',
  })
})
