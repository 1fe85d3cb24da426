import { Permission, permissionsOf, Role } from '@parley/contracts'
import { expect, test } from 'vitest'
import { isLastOwner, lacking, type Manager, mayGive, type MemberState, refuseChange } from './membership.ts'

const manager = (role: Role, extra: Permission[] = [], userId = 'me'): Manager => ({
  userId,
  role,
  permissions: permissionsOf(role, extra),
})
const key = (permissions: Permission[]): Manager => ({ userId: null, role: null, permissions: new Set(permissions) })
const member = (role: Role, change: Partial<MemberState> = {}): MemberState => ({
  userId: 'they',
  role,
  permissions: [],
  status: 'active',
  ...change,
})
const roles = Role.options

test('only owners make, change or remove owners; only owners and admins manage anybody', () => {
  const may = Object.fromEntries(roles.map((role) => [role, roles.filter((other) => mayGive(manager(role), other))]))
  expect(may).toEqual({
    owner: roles,
    admin: ['admin', 'manager', 'product_editor', 'support', 'viewer'],
    manager: [],
    product_editor: [],
    support: [],
    viewer: [],
  })
})

test('an extra permission makes nobody a manager of members', () => {
  expect(refuseChange(manager('viewer', ['members:write']), member('viewer'), { role: 'support' }, ['x'])).toBe('role')
  expect(refuseChange(manager('manager', [...Permission.options]), member('viewer'), { status: 'removed' }, ['x'])).toBe('role')
})

test('nobody gives what they lack, and what was there already stays', () => {
  expect(lacking(manager('admin'), ['billing:write', 'members:write'])).toEqual(['billing:write'])
  expect(refuseChange(manager('admin'), member('support'), { permissions: ['billing:write'] }, ['x'])).toBe('permission')
  const payer = member('support', { permissions: ['billing:write'] })
  expect(refuseChange(manager('admin'), payer, { permissions: ['billing:write', 'audit:read'] }, ['x'])).toBeNull()
  expect(
    refuseChange(manager('admin', ['billing:write']), member('support'), { permissions: ['billing:write'] }, ['x']),
  ).toBeNull()
})

test('nobody changes their own membership', () => {
  for (const role of roles)
    for (const wanted of [{ role: 'viewer' }, { permissions: [] }, { status: 'suspended' }, { status: 'removed' }] as const)
      expect(refuseChange(manager(role, [], 'they'), member(role), wanted, ['they', 'x'])).toBe('own')
})

test('the last owner stays what they are, however it is tried', () => {
  const owner = member('owner')
  for (const wanted of [{ role: 'admin' }, { status: 'suspended' }, { status: 'removed' }] as const) {
    expect(refuseChange(manager('owner'), owner, wanted, ['they'])).toBe('last_owner')
    expect(refuseChange(manager('owner'), owner, wanted, ['they', 'me'])).toBeNull()
  }
  expect(refuseChange(manager('owner'), owner, { permissions: ['audit:read'] }, ['they'])).toBeNull()
  expect(isLastOwner('they', ['they', 'me'])).toBe(false)
  expect(isLastOwner('they', ['me'])).toBe(false)
  expect(isLastOwner('they', [])).toBe(false)
})

test('a key gives no role that may more than the key, and never owner or admin', () => {
  const all = key([...Permission.options])
  expect(roles.filter((role) => mayGive(all, role))).toEqual(['manager', 'product_editor', 'support', 'viewer'])
  expect(
    roles.filter((role) =>
      mayGive(key(['members:write', 'agents:read', 'organization:read', 'products:read', 'products:write']), role),
    ),
  ).toEqual(['product_editor'])
  expect(refuseChange(all, member('owner'), { status: 'removed' }, ['they', 'x'])).toBe('role')
})

test('who was removed comes back by an invitation only', () => {
  expect(refuseChange(manager('owner'), member('viewer', { status: 'removed' }), { status: 'active' }, ['me'])).toBe('removed')
})
