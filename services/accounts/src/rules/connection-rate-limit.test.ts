import { expect, test } from 'vitest'
import { readRateLimit } from './connection-rate-limit.ts'

const now = new Date('2026-11-21T10:00:00.000Z')
const unix = now.getTime() / 1_000

test.each([
  [{ 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '6m0s' }, 59, 360],
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '120ms' }, 0, 0.12],
  [{ 'x-ratelimit-remaining': '499', 'x-ratelimit-reset': String(unix + 30) }, 499, 30],
  [{ 'ratelimit-remaining': '10', 'ratelimit-reset': '15' }, 10, 15],
])('%j is understood', (headers, remaining, seconds) => {
  expect(readRateLimit(headers as Record<string, string>, now)).toEqual({
    remaining,
    resetAt: new Date(now.getTime() + seconds * 1_000).toISOString(),
  })
})

test.each([
  {},
  { 'x-ratelimit-remaining': '-1', 'x-ratelimit-reset': '5' },
  { 'x-ratelimit-remaining': 'many', 'x-ratelimit-reset': '5' },
  { 'x-ratelimit-remaining': '5' },
  { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': 'soon' },
  { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '99999999' },
])('%j says nothing', (headers) => expect(readRateLimit(headers as Record<string, string>, now)).toBeNull())
