import { expect, test } from 'vitest'
import { commonPasswords } from './common-password-list.ts'
import { isCommon } from './rules/common-passwords.ts'
import { refusePassword } from './rules/password.ts'

test('a password is refused when it is one of the 3,000 that are chosen most, and of many more', () => {
  expect(commonPasswords.size).toBeGreaterThan(15_000)
  const nobody = { email: 'x@example.org' }
  expect([...commonPasswords].filter((password) => refusePassword(password, nobody, commonPasswords) === undefined)).toEqual([])
  // No stem of ours, no run, no repetition: only the long list has these.
  for (const password of ['1qaz2wsx', 'butthead', 'Scorpion', 'q1w2e3r4t5'])
    expect([isCommon(password, commonPasswords), isCommon(password, new Set())], password).toEqual([true, false])
})
