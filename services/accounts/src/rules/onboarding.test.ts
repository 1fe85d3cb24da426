import { expect, test } from 'vitest'
import { changeSteps, missingSteps, nextStep } from './onboarding.ts'

test('a step is done once, and kept in the order in which it is asked for', () => {
  expect(changeSteps(['team'], 'business', true)).toEqual(['business', 'team'])
  expect(changeSteps(['business', 'team'], 'business', true)).toEqual(['business', 'team'])
  expect(changeSteps(['business', 'team'], 'business', false)).toEqual(['team'])
})

test('onboarding misses what nothing can be answered without, and nothing else', () => {
  expect(missingSteps([])).toEqual(['business', 'connection'])
  expect(missingSteps(['team', 'ai', 'business'])).toEqual(['connection'])
  expect(missingSteps(['business', 'connection'])).toEqual([])
})

test('the next step is the first that is open', () => {
  expect(nextStep([])).toBe('business')
  expect(nextStep(['business', 'ai'])).toBe('connection')
  expect(nextStep(['business', 'connection', 'ai', 'knowledge', 'team'])).toBeNull()
})
