import { Permission, permissionsOf } from '@parley/contracts'
import type { Caller } from '@parley/runtime'
import { expect, test } from 'vitest'
import type { Member } from './db/members.ts'
import { managerOf } from './manager.ts'

const userId = '01a1fc93-f644-7000-8000-000000000001'
const caller = (permissions: readonly Permission[]): Caller => ({
  organizationId: '01a1fc93-f644-7000-8000-000000000002',
  actor: { kind: 'member', id: userId },
  userId,
  sessionId: null,
  permissions: new Set(permissions),
  authenticatedAt: null,
})
const member = (role: Member['role']) => ({ userId, role, permissions: [], status: 'active' }) as unknown as Member

test('whoever manages may what their membership says as it is locked, and no more than the call was given for', () => {
  const whole = managerOf(caller(Permission.options), [member('viewer')])
  expect(whole.permissions).toEqual(permissionsOf('viewer', []))
  const cut = managerOf(caller(['api-keys:write', 'messages:read']), [member('admin')])
  expect(cut.permissions).toEqual(new Set(['api-keys:write', 'messages:read']))
})
