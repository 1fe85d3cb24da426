import { describe as group, expect, test } from 'vitest'
import { ourTroubleMs } from './dead-letters.ts'
import { BrokerAway, LeaseLost, Permanent, RetryLater } from './errors.ts'
import { decideRetry } from './job-failures.ts'

const coded = (code: string) => Object.assign(new Error('x'), { code })
const firstTry = { retry_count: 0, retry_limit: 2 }
const lastTry = { retry_count: 2, retry_limit: 2 }

group('a failed run', () => {
  test('that lost its lease is left to its new holder, whatever tries are left and even as the process stops', () => {
    for (const run of [firstTry, lastTry]) {
      for (const cutOff of [false, true]) expect(decideRetry(new LeaseLost('gone'), run, cutOff)).toEqual({ becomes: 'nothing' })
    }
  })

  test('is tried again until its tries are used up, then it is dead', () => {
    expect(decideRetry(new TypeError('wrong'), { retry_count: 1, retry_limit: 2 }, false)).toEqual({
      becomes: 'retry',
      errorClass: 'bug',
      costsTry: true,
      afterMs: undefined,
    })
    expect(decideRetry(new TypeError('wrong'), lastTry, false)).toEqual({ becomes: 'dead', errorClass: 'bug' })
    expect(decideRetry(coded('25P03'), lastTry, false)).toEqual({ becomes: 'dead', errorClass: 'retry' })
  })

  test('that asks for a later try has it after the time it names, within its tries', () => {
    const later = new RetryLater('later', { afterMs: 1_500 })
    expect(decideRetry(later, firstTry, false)).toEqual({ becomes: 'retry', errorClass: 'retry', costsTry: true, afterMs: 1_500 })
    expect(decideRetry(later, lastTry, false)).toEqual({ becomes: 'dead', errorClass: 'retry' })
  })

  test('that no try will help is dead at once', () => {
    expect(decideRetry(new Permanent('never'), firstTry, false)).toEqual({ becomes: 'dead', errorClass: 'permanent' })
    expect(decideRetry(coded('22021'), firstTry, false)).toEqual({ becomes: 'dead', errorClass: 'permanent' })
  })

  test.each([
    ['the database was away', coded('57P01'), 'outage'],
    ['the broker was away', new BrokerAway('away'), 'outage'],
    ['a lock was held', coded('55P03'), 'contention'],
    ['a statement took too long', coded('57014'), 'contention'],
    ['two transactions met', coded('40001'), 'contention'],
    ['two transactions waited for each other', coded('40P01'), 'contention'],
  ])(
    'because %s costs no try, also the last, and comes again when that ends rather than ever later',
    (_why, error, errorClass) => {
      const retry = { becomes: 'retry', errorClass, costsTry: false, afterMs: ourTroubleMs }
      expect(decideRetry(error, lastTry, false)).toEqual(retry)
      expect(decideRetry(error, { retry_count: 50, retry_limit: 52 }, false)).toEqual(retry)
    },
  )

  test('that was cut off as the process stopped costs no try, whatever it failed with', () => {
    const free = { becomes: 'retry', errorClass: 'outage', costsTry: false }
    expect(decideRetry(new TypeError('aborted'), lastTry, true)).toEqual({ ...free, afterMs: ourTroubleMs })
    expect(decideRetry(coded('22021'), lastTry, true)).toEqual({ ...free, afterMs: ourTroubleMs })
    expect(decideRetry(new RetryLater('later', { afterMs: 50 }), lastTry, true)).toEqual({ ...free, afterMs: 50 })
  })

  test('that says itself that no try will help is dead even when it was cut off', () => {
    expect(decideRetry(new Permanent('never'), firstTry, true)).toMatchObject({ becomes: 'dead' })
  })
})
