import { describe, expect, test } from 'vitest'
import { type Attempts, decideAttempt, networkOf, paces } from './sign-in-attempts.ts'

const start = Date.parse('2026-03-01T12:00:00Z')
const at = (ms: number) => new Date(start + ms)

/** Tries as often as it is let, for so long. */
function tries(pace: (typeof paces)[keyof typeof paces], forMs: number): number {
  let known: Attempts | undefined
  let count = 0
  for (let ms = 0; ms <= forMs; ) {
    const verdict = decideAttempt(pace, known, at(ms))
    if (verdict.allowed) {
      known = verdict.next
      count++
    } else ms += verdict.waitMs
  }
  return count
}

describe('tries at signing in', () => {
  test('the first five cost nothing, then the wait doubles', () => {
    let known: Attempts | undefined
    const waits: number[] = []
    let now = 0
    for (let i = 0; i < 9; i++) {
      const verdict = decideAttempt(paces.account, known, at(now))
      if (!verdict.allowed) throw new Error('It waited long enough.')
      known = verdict.next
      const waitMs = Math.max(0, known.blockedUntil.getTime() - now - start)
      waits.push(waitMs)
      now += waitMs
    }
    expect(waits).toEqual([0, 0, 0, 0, 2_000, 4_000, 8_000, 16_000, 32_000])
  })

  test('a guesser who never rests has about a hundred tries a day', () => {
    const day = tries(paces.account, 24 * 3_600_000)
    expect(day).toBeGreaterThan(80)
    expect(day).toBeLessThan(120)
  })

  test('the wait never exceeds a quarter of an hour, however many there were', () => {
    const verdict = decideAttempt(paces.account, { failures: 1_000_000, lastAt: at(0), blockedUntil: at(0) }, at(1))
    expect(verdict.allowed && verdict.next.blockedUntil.getTime() - at(1).getTime()).toBe(15 * 60_000)
  })

  test('a try during the wait is refused with what is left of it, and not counted', () => {
    const known = { failures: 9, lastAt: at(0), blockedUntil: at(10_000) }
    expect(decideAttempt(paces.account, known, at(4_000))).toEqual({ allowed: false, waitMs: 6_000 })
    const after = decideAttempt(paces.account, known, at(10_000))
    expect(after.allowed && after.next.failures).toBe(10)
  })

  test('a try whose clock was read a moment before that of the last one is as free', () => {
    const verdict = decideAttempt(paces.account, undefined, at(5))
    expect(verdict.allowed && decideAttempt(paces.account, verdict.next, at(4)).allowed).toBe(true)
  })

  test('after a day without tries the account begins anew', () => {
    const known = { failures: 50, lastAt: at(0), blockedUntil: at(900_000) }
    const verdict = decideAttempt(paces.account, known, at(24 * 3_600_000))
    expect(verdict.allowed && verdict.next).toMatchObject({ failures: 1, blockedUntil: new Date(0) })
  })

  test('one recipient gets at most eleven mails in an hour, and never waits for one longer than a link is good', () => {
    expect(tries(paces.mail, 3_600_000)).toBe(11)
    expect(paces.mail.longestWaitMs).toBeLessThan(10 * 60_000)
  })
})

describe('the network of an address', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s is %s', (ip, network) => expect(networkOf(ip)).toBe(network))
})
