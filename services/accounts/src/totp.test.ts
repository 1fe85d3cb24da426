import { describe, expect, test } from 'vitest'
import { base32, matchStep, otpauthUri, stepAt, totpCode } from './totp.ts'

const secret = Buffer.from('12345678901234567890')

describe('codes of a second factor', () => {
  // RFC 6238, appendix B, SHA-1: eight digits.
  test.each([
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ])('at %d s the code is %s', (seconds, code) => {
    expect(totpCode(secret, stepAt(new Date(seconds * 1000)), 8)).toBe(code)
  })

  // RFC 4226, appendix D.
  test.each([
    [0, '755224'],
    [1, '287082'],
    [9, '520489'],
  ])('of step %d the six digits are %s', (step, code) => {
    expect(totpCode(secret, step)).toBe(code)
  })

  const now = new Date(1_111_111_111_000)
  const step = stepAt(now)

  test('a code is good for its thirty seconds, neither before nor after', () => {
    const at = (seconds: number) => new Date(step * 30_000 + seconds * 1_000)
    for (const seconds of [0, 15, 29.999]) expect(matchStep(secret, totpCode(secret, step), at(seconds), null)).toBe(step)
    for (const seconds of [-0.001, 30]) expect(matchStep(secret, totpCode(secret, step), at(seconds), null)).toBeUndefined()
  })

  test('a step that was taken, and any before it, is refused', () => {
    expect(matchStep(secret, totpCode(secret, step), now, step)).toBeUndefined()
    expect(matchStep(secret, totpCode(secret, step), now, step + 1)).toBeUndefined()
    expect(matchStep(secret, totpCode(secret, step), now, step - 1)).toBe(step)
  })

  test.each(['', '12345', '1234567', 'abcdef', '１２３４５６', ' 287082'])('%j is no code', (code) => {
    expect(matchStep(secret, code, now, null)).toBeUndefined()
  })

  test('the secret is written as authenticator apps read it', () => {
    expect(base32(secret)).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
    expect(base32(Buffer.from('fooba'))).toBe('MZXW6YTB')
    expect(otpauthUri(secret, 'zoe+1@example.org', 'Parley & Co')).toBe(
      'otpauth://totp/Parley%20%26%20Co:zoe%2B1%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Parley%20%26%20Co&algorithm=SHA1&digits=6&period=30',
    )
  })
})
