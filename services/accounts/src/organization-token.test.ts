import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeOrganizationToken, organizationTokenLength, readOrganizationToken } from './organization-token.ts'

test('a token names its organization, and no two are the same', () => {
  const organizationId = randomUUID()
  const made = Array.from({ length: 20 }, () => makeOrganizationToken(organizationId))
  for (const { token, hash } of made) {
    expect(token).toHaveLength(organizationTokenLength)
    expect(readOrganizationToken(token)).toEqual({ organizationId, hash })
  }
  expect(new Set(made.map(({ token }) => token)).size).toBe(20)
})

test('what we never gave out names nobody', () => {
  for (const text of ['', 'x'.repeat(64), 'x'.repeat(66), `${'x'.repeat(64)}=`, `${'x'.repeat(64)}\n`])
    expect(readOrganizationToken(text)).toBeUndefined()
})

test('a token is not made for what is not an organization', () => {
  expect(() => makeOrganizationToken('acme')).toThrow(TypeError)
})
