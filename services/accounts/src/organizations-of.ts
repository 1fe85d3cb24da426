import type { Id, Role } from '@parley/contracts'
import type { ServiceDatabase } from '@parley/runtime'
import { findMember } from './db/members.ts'
import { findOrganization } from './db/organizations.ts'
import type { DB } from './db/types.ts'
import { listUserOrganizations } from './db/user-organizations.ts'

export interface OwnOrganization {
  organizationId: Id
  name: string
  role: Role
  status: 'active' | 'suspended'
  /** The organization is: nobody acts in it until its operator opens it again. */
  closed: boolean
}

/**
 * Where a person is a member, first joined first. Each organization is read under its own row-level security, in one transaction:
 * there is no query that sees more than one of them.
 */
export async function organizationsOf(database: ServiceDatabase<DB>, userId: string): Promise<OwnOrganization[]> {
  return database.transaction(null, async ({ tx, useOrganization }) => {
    const found: OwnOrganization[] = []
    for (const organizationId of await listUserOrganizations(tx, userId)) {
      useOrganization(organizationId)
      const [organization, member] = await Promise.all([
        findOrganization(tx, organizationId),
        findMember(tx, organizationId, userId),
      ])
      if (!organization || !member || member.status === 'removed') continue
      const { name } = organization
      const closed = organization.status === 'inactive'
      found.push({ organizationId, name, role: member.role, status: member.status, closed })
    }
    return found
  })
}
