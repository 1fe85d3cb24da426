import { expect, test } from 'vitest'
import { reportOf } from './model-report.ts'

test('an answer of any kind proves the key, a refused key is told, and an outage says nothing', () => {
  expect(reportOf({ why: null, errorClass: null })).toEqual({ outcome: 'ok', detail: null })
  expect(reportOf({ why: 'invalid', errorClass: 'invalid' })?.outcome).toBe('ok')
  expect(reportOf({ why: 'refused', errorClass: 'refused' })?.outcome).toBe('ok')
  expect(reportOf({ why: 'unavailable', errorClass: 'unauthorised' })?.outcome).toBe('refused')
  for (const errorClass of ['quota', 'rate_limited']) {
    expect(reportOf({ why: 'unavailable', errorClass })?.outcome).toBe('throttled')
  }
  for (const errorClass of ['timeout', 'server', 'connection', 'breaker_open', null]) {
    expect(reportOf({ why: 'unavailable', errorClass })).toBeNull()
  }
})
