import { expect, test } from 'vitest'
import { decideRefresh, graceMs } from './refresh.ts'

const now = new Date('2026-03-01T12:00:00Z')
const ago = (ms: number) => new Date(now.getTime() - ms)
const limits = { idleMs: 7 * 86_400_000 }
const session = { endedAt: null, expiresAt: new Date('2026-03-20T12:00:00Z'), lastUsedAt: ago(600_000) }

test.each([
  ['a fresh token', { usedAt: null, session }, 'rotate'],
  ['one used a moment ago', { usedAt: ago(graceMs), session }, 'repeat'],
  ['one used longer ago', { usedAt: ago(graceMs + 1), session }, 'revoke'],
  ['a fresh one of an ended session', { usedAt: null, session: { ...session, endedAt: ago(1) } }, 'refuse'],
  ['a used one of an ended session', { usedAt: ago(86_400_000), session: { ...session, endedAt: ago(1) } }, 'refuse'],
  ['a fresh one at the end of the session', { usedAt: null, session: { ...session, expiresAt: now } }, 'refuse'],
  [
    'a fresh one after a week of silence',
    { usedAt: null, session: { ...session, lastUsedAt: ago(limits.idleMs + 1) } },
    'refuse',
  ],
])('%s: %#', (_name, token, decision) => expect(decideRefresh(token, limits, now)).toBe(decision))
