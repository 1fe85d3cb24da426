import { expect, test } from 'vitest'
import { beyond, refuseExpiry, rotateSecrets, stateOf } from './api-key.ts'

const now = new Date('2026-06-01T00:00:00Z')
const at = (offsetMs: number) => new Date(now.getTime() + offsetMs)

test('a key never has a scope that its maker lacks', () => {
  const own = new Set(['agents:read', 'messages:read'] as const)
  expect(beyond(own, ['agents:read'])).toEqual([])
  expect(beyond(own, ['agents:read', 'agents:write', 'ops:write'])).toEqual(['agents:write', 'ops:write'])
})

test('a key is not dead on arrival and does not live for ever by mistake', () => {
  expect(refuseExpiry(null, now)).toBeNull()
  expect(refuseExpiry(now, now)).toBe('past')
  expect(refuseExpiry(at(1), now)).toBeNull()
  expect(refuseExpiry(at(5 * 366 * 86_400_000), now)).toBeNull()
  expect(refuseExpiry(at(5 * 366 * 86_400_000 + 1), now)).toBe('too_far')
})

test('a key ends at its moment; a revoked one is revoked, expired or not', () => {
  expect(stateOf({ status: 'active', expiresAt: null }, now)).toBe('active')
  expect(stateOf({ status: 'active', expiresAt: at(1) }, now)).toBe('active')
  expect(stateOf({ status: 'active', expiresAt: now }, now)).toBe('expired')
  expect(stateOf({ status: 'revoked', expiresAt: now }, now)).toBe('revoked')
})

test('a rotated secret opens until its overlap ends, and with none not at all', () => {
  expect(rotateSecrets('old', 'new', now, 24)).toEqual({ hash: 'new', previousHash: 'old', previousUntil: at(86_400_000) })
  expect(rotateSecrets('old', 'new', now, 0)).toEqual({ hash: 'new', previousHash: null, previousUntil: null })
})
