import type { Limits } from '@parley/contracts'
import { expect, test } from 'vitest'
import { hardLimits, termsOf } from './limits.ts'
import { plans } from './plan.ts'
import { decideUsage, needsLook, percentOf, type Used } from './usage.ts'

const nothing: Used = { messages: 0, ai_requests: 0, customers: 0, ai_spend: 0 }
const limits: Limits = { messages: 10, aiRequests: null, customers: null, aiSpendMicros: null }
const stops = termsOf('free', limits, null)
const charges = termsOf('professional', limits, null)

test('80 and 100 per cent are told once each, and the stop holds until the month ends', () => {
  const at = (messages: number, told: readonly string[]) => decideUsage({ ...nothing, messages }, stops, told)
  const first = at(7, [])
  expect(first).toMatchObject({ warnings: [], stopped: [], next: { messages: 8 } })
  const eighty = at(8, first.warned)
  expect(eighty.warnings).toEqual([{ metric: 'messages', percent: 80, used: 8, limit: 10, stops: true }])
  expect(eighty.next.messages).toBe(10)
  expect(at(9, eighty.warned).warnings).toEqual([])
  const full = at(10, eighty.warned)
  expect(full.warnings).toMatchObject([{ percent: 100 }])
  expect(full.stopped).toEqual(['messages'])
  expect(at(11, full.warned)).toMatchObject({ warnings: [], stopped: ['messages'], next: { messages: null } })
})

test('who jumps over both lines hears of the upper one only, and never of the lower one later', () => {
  const verdict = decideUsage({ ...nothing, messages: 25 }, charges, [])
  expect(verdict.warnings).toMatchObject([{ percent: 100, stops: false }])
  expect(verdict.stopped).toEqual([])
  expect(decideUsage({ ...nothing, messages: 9 }, charges, verdict.warned).warnings).toEqual([])
})

test('a higher limit is a new line to cross', () => {
  const { warned } = decideUsage({ ...nothing, messages: 10 }, stops, [])
  const more = termsOf('free', { ...limits, messages: 100 }, null)
  expect(decideUsage({ ...nothing, messages: 10 }, more, warned)).toMatchObject({
    warnings: [],
    stopped: [],
    next: { messages: 80 },
  })
  expect(decideUsage({ ...nothing, messages: 80 }, more, warned).warnings).toMatchObject([{ percent: 80, limit: 100 }])
})

test('a limit of nothing is reached before anything is used', () => {
  const none = termsOf('free', { ...limits, messages: 0 }, null)
  expect(decideUsage(nothing, none, [])).toMatchObject({ warnings: [{ percent: 100 }], stopped: ['messages'] })
  expect(percentOf(0, 0)).toBe(100)
  expect(percentOf(999, 1_000)).toBe(99)
  expect(percentOf(5, null)).toBeNull()
})

test('a look is due when those who count at the same moment could cross a line together', () => {
  const watch = { month: '2026-01-01', next: { messages: 5_000, ai_requests: null, customers: null, ai_spend: null } }
  const counted = (messages: number, events = 1, eventsBefore = events - 1) => ({
    eventsBefore,
    events,
    used: { ...nothing, messages },
  })
  expect(needsLook(watch, '2026-01-01', counted(3_900), { messages: 1 })).toBe(false)
  expect(needsLook(watch, '2026-01-01', counted(3_976), { messages: 1 })).toBe(true)
  expect(needsLook(watch, '2026-02-01', counted(1), { messages: 1 })).toBe(true)
  expect(needsLook(null, '2026-01-01', counted(1), { messages: 1 })).toBe(true)
  expect(needsLook(watch, '2026-01-01', counted(1, 512), { messages: 1 })).toBe(true)
  expect(needsLook(watch, '2026-01-01', counted(1, 511, 449), { messages: 1 })).toBe(false)
  expect(needsLook(watch, '2026-01-01', counted(1, 540, 500), { messages: 1 })).toBe(true)
})

test('an organization’s own AI budget is kept when it is the lower one, even where the plan would charge for more', () => {
  expect(termsOf('enterprise', {}, 5_000)).toMatchObject({ limits: { aiSpendMicros: 5_000 }, overageMicros: { ai_spend: null } })
  expect(termsOf('free', {}, 900_000_000).limits.aiSpendMicros).toBe(plans.free.limits.aiSpendMicros)
  expect(termsOf('free', { aiSpendMicros: null }, 7).limits.aiSpendMicros).toBe(7)
})

test('only limits that stop are handed to those who keep them', () => {
  expect(hardLimits(termsOf('professional', {}, null))).toEqual({
    messages: null,
    aiRequests: null,
    customers: null,
    aiSpendMicros: plans.professional.limits.aiSpendMicros,
  })
  expect(hardLimits(termsOf('enterprise', {}, null)).aiSpendMicros).toBeNull()
  expect(hardLimits(termsOf(null, {}, null))).toEqual({ messages: null, aiRequests: null, customers: null, aiSpendMicros: null })
})
