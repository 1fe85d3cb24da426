import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { hashToken, makeToken, readToken } from './token.ts'

const organizationId = '0190a6d2-7b4c-7def-8123-456789abcdef'

test('a token tells its organization and what to look up, and fits a path', () => {
  const token = makeToken(organizationId, randomBytes(32))
  expect(token).toMatch(/^[A-Za-z0-9_-]{65}$/)
  expect(readToken(token)).toEqual({ organizationId, hash: hashToken(token) })
})

test('two tokens of one organization differ', () => {
  expect(makeToken(organizationId, randomBytes(32))).not.toBe(makeToken(organizationId, randomBytes(32)))
})

test.each([
  ['nothing', ''],
  ['a short one', 'abc'],
  ['a long one', 'a'.repeat(66)],
  ['5 kB', 'a'.repeat(5_000)],
  ['a path', `../${'a'.repeat(62)}`],
  ['a NUL', `${'a'.repeat(64)}\0`],
])('%s is no token, and costs no query', (_name, text) => {
  expect(readToken(text)).toBeUndefined()
})

test('a token is never made of too little randomness', () => {
  expect(() => makeToken(organizationId, randomBytes(16))).toThrow(RangeError)
})
