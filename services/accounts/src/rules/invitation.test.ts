import { expect, test } from 'vitest'
import { decideAcceptance, decideResend, holdsLink, type InvitationState, statusOf } from './invitation.ts'

const now = new Date('2026-06-01T12:00:00Z')
const at = (offsetMs: number) => new Date(now.getTime() + offsetMs)
const invitation = (change: Partial<InvitationState> = {}): InvitationState => ({
  status: 'pending',
  email: 'zoe@example.com',
  expiresAt: at(1),
  sentCount: 1,
  lastSentAt: at(-60_000),
  ...change,
})
const zoe = { email: 'Zoe@Example.com', emailVerified: true }

test('a pending invitation ends at its moment, not after it', () => {
  expect(statusOf(invitation(), now)).toBe('pending')
  expect(statusOf(invitation({ expiresAt: now }), now)).toBe('expired')
  expect(statusOf(invitation({ status: 'accepted', expiresAt: at(-1) }), now)).toBe('accepted')
})

test('it is accepted only by whom it was sent to, once, in time', () => {
  expect(decideAcceptance(invitation(), zoe, now)).toBe('accept')
  expect(decideAcceptance(invitation(), { ...zoe, emailVerified: false }, now)).toBe('not_verified')
  expect(decideAcceptance(invitation(), { ...zoe, email: 'eve@example.com' }, now)).toBe('other_person')
  expect(decideAcceptance(invitation({ status: 'accepted' }), zoe, now)).toBe('accepted')
  expect(decideAcceptance(invitation({ status: 'revoked' }), zoe, now)).toBe('revoked')
  expect(decideAcceptance(invitation({ expiresAt: now }), zoe, now)).toBe('expired')
})

test('another person learns nothing of what became of it', () => {
  for (const status of ['accepted', 'revoked', 'expired'] as const)
    expect(decideAcceptance(invitation({ status }), { ...zoe, email: 'eve@example.com' }, now)).toBe('other_person')
})

test('it is sent again a minute later at the earliest, ten times at most, and never once it is closed', () => {
  expect(decideResend(invitation(), now)).toEqual({ send: true })
  expect(decideResend(invitation({ lastSentAt: at(-59_999) }), now)).toEqual({ send: false, why: 'too_soon', waitMs: 1 })
  expect(decideResend(invitation({ sentCount: 9 }), now)).toEqual({ send: true })
  expect(decideResend(invitation({ sentCount: 10 }), now)).toEqual({ send: false, why: 'too_often' })
  expect(decideResend(invitation({ expiresAt: at(-1) }), now)).toEqual({ send: true })
  expect(decideResend(invitation({ status: 'accepted' }), now)).toEqual({ send: false, why: 'closed' })
  expect(decideResend(invitation({ status: 'revoked' }), now)).toEqual({ send: false, why: 'closed' })
})

test('a message with something to click is seen', () => {
  for (const text of ['see https://evil.example', 'HTTP://x', 'go to www.evil.example', 'evil.com/login', 'bit.ly/x'])
    expect(holdsLink(text), text).toBe(true)
  for (const text of ['Bienvenue à bord !', 'See you on Monday. Bring the keys.', 'version 1.2 is out'])
    expect(holdsLink(text), text).toBe(false)
})
