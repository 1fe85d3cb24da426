import { expect, test } from 'vitest'
import { identityHash } from './identity-hash.ts'

const identity = { organizationId: 'o', channel: 'whatsapp', accountId: 'a', externalId: '33639980001@s.whatsapp.net' } as const

test('the same identity has the same hash, and no other has', () => {
  const hash = identityHash('k'.repeat(32), identity)
  expect(identityHash('k'.repeat(32), { ...identity })).toBe(hash)
  expect(identityHash('l'.repeat(32), identity)).not.toBe(hash)
  expect(identityHash('k'.repeat(32), { ...identity, organizationId: 'p' })).not.toBe(hash)
  expect(identityHash('k'.repeat(32), { ...identity, accountId: 'a3', externalId: identity.externalId.slice(1) })).not.toBe(hash)
})

test('the hash does not hold the number', () => {
  expect(identityHash('k'.repeat(32), identity)).not.toContain('3363998')
})
