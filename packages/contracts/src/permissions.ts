import { z } from 'zod'
import type { Role } from './entities/account.ts'

/**
 * Everything a route can ask for, `<noun>:<read|write>`, and nothing else: a route whose scope is not here does not compile. Two
 * more stand beside them: `public` (anybody) and `self` (whoever is signed in, about themselves).
 */
export const Permission = z.enum([
  'agents:read',
  'agents:write',
  'api-keys:read',
  'api-keys:write',
  'audit:read',
  'billing:read',
  'billing:write',
  'channels:read',
  'channels:write',
  'connections:read',
  'connections:write',
  'consents:read',
  'conversations:read',
  'conversations:write',
  'customers:read',
  'members:read',
  'members:write',
  'messages:read',
  'messages:write',
  'ops:read',
  'ops:write',
  'organization:read',
  'organization:write',
  'products:read',
  'products:write',
  'receipts:read',
  'receipts:write',
  'usage:read',
  'webhook-sources:read',
  'webhook-sources:write',
])
export type Permission = z.infer<typeof Permission>
export type Scope = Permission | 'public' | 'self'

const everything = Permission.options
const readable = everything.filter((permission) => permission.endsWith(':read'))

const support: readonly Permission[] = [
  'agents:read',
  'consents:read',
  'conversations:read',
  'conversations:write',
  'customers:read',
  'members:read',
  'messages:read',
  'messages:write',
  'organization:read',
  'products:read',
]

/**
 * The one table of who may do what. An owner may everything; an admin everything but paying; `ops` (dead letters, replays) is for
 * those who run the system. A viewer reads what the business is about, not its secrets, bills or logs.
 */
export const rolePermissions: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  owner: new Set(everything),
  admin: new Set(everything.filter((permission) => permission !== 'billing:write')),
  manager: new Set<Permission>([
    ...support,
    'agents:write',
    'audit:read',
    'billing:read',
    'channels:read',
    'connections:read',
    'products:write',
    'receipts:read',
    'usage:read',
    'webhook-sources:read',
  ]),
  product_editor: new Set<Permission>(['agents:read', 'organization:read', 'products:read', 'products:write']),
  support: new Set(support),
  viewer: new Set(
    readable.filter(
      (permission) =>
        !['api-keys', 'audit', 'billing', 'connections', 'ops', 'receipts', 'webhook-sources'].includes(
          permission.split(':')[0] as string,
        ),
    ),
  ),
}

/** What a member may do: their role's permissions and those given on top. */
export function permissionsOf(role: Role, extra: readonly Permission[]): ReadonlySet<Permission> {
  return new Set([...rolePermissions[role], ...extra])
}

const rank: readonly Role[] = ['viewer', 'product_editor', 'support', 'manager', 'admin', 'owner']

/** True when `role` may give or take `other`: nobody hands out more than they have, and only owners make owners. */
export function mayManage(role: Role, other: Role): boolean {
  return rank.indexOf(role) >= rank.indexOf(other) && rank.indexOf(role) >= rank.indexOf('admin')
}
