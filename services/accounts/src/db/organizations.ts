import { organizationCreated, type OrganizationRecord, organizationUpdated } from '@parley/contracts'
import { AppError, type CommitTools, type Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import { addMember } from './members.ts'
import type { DB, Organizations } from './types.ts'

export type Organization = Selectable<Organizations>

export interface NewOrganization {
  organizationId: string
  name: string
  ownerId: string
  timezone?: string | undefined
  locale?: string | undefined
  currency?: string | undefined
}

/**
 * Brings an organization with its owner into being. The commit must be one of `organizationId`; throws when that exists already:
 * ids are made by us.
 */
export async function createOrganization(tx: Tx<DB>, tools: CommitTools, fresh: NewOrganization): Promise<Organization> {
  const { organizationId, name, ownerId, timezone = 'UTC', locale = 'en', currency = 'USD' } = fresh
  const organization = await tx
    .insertInto('organizations')
    .values({ organizationId, name, timezone, locale, currency })
    .returningAll()
    .executeTakeFirstOrThrow()
  tools.emit(organizationCreated, recordOf(organization))
  tools.audit({
    resourceType: 'organization',
    resourceId: organizationId,
    before: null,
    after: { name, timezone, locale, currency },
  })
  await addMember(tx, tools, organizationId, { userId: ownerId, role: 'owner', permissions: [], invitedBy: null })
  return organization
}

export async function findOrganization(tx: Tx<DB>, organizationId: string): Promise<Organization | undefined> {
  return tx.selectFrom('organizations').selectAll().where('organizationId', '=', organizationId).executeTakeFirst()
}

/** The organization, locked until the commit. */
export async function lockOrganization(tx: Tx<DB>, organizationId: string): Promise<Organization | undefined> {
  return tx.selectFrom('organizations').selectAll().where('organizationId', '=', organizationId).forUpdate().executeTakeFirst()
}

/** Waits until nobody else brings an organization of this id into being: there is no row yet to lock. */
export async function lockOrganizationId(tx: Tx<DB>, organizationId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`organization.${organizationId}`}, 0))`.execute(tx)
}

/** Writes the change under the next revision and tells everybody. */
export async function updateOrganization(
  tx: Tx<DB>,
  tools: CommitTools,
  organizationId: string,
  change: Updateable<Organizations>,
): Promise<Organization> {
  const organization = await tx
    .updateTable('organizations')
    .set((eb) => ({ ...change, revision: eb('revision', '+', 1), updatedAt: sql<Date>`now()` }))
    .where('organizationId', '=', organizationId)
    .returningAll()
    .executeTakeFirstOrThrow()
  tools.emit(organizationUpdated, recordOf(organization))
  return organization
}

/** Takes a subdomain for the organization and gives back the one it had. Throws AppError `conflict` when somebody else has it. */
export async function takeSubdomain(tx: Tx<DB>, organizationId: string, subdomain: string | null): Promise<void> {
  await tx
    .deleteFrom('subdomains')
    .where('takenBy', '=', organizationId)
    .where('subdomain', 'is distinct from', subdomain)
    .execute()
  if (subdomain === null) return
  const { takenBy } = await tx
    .insertInto('subdomains')
    .values({ subdomain, takenBy: organizationId })
    // Touches the row that is there, so that it comes back whoever has it.
    .onConflict((conflict) => conflict.column('subdomain').doUpdateSet({ subdomain }))
    .returning('takenBy')
    .executeTakeFirstOrThrow()
  if (takenBy !== organizationId) throw new AppError('conflict', 'Another organization has this subdomain.')
}

/** The organization as other services need it. */
export function recordOf(organization: Organization): OrganizationRecord {
  const { organizationId, name, status, timezone, locale, currency, requireTwoFactor, revision } = organization
  return {
    organizationId,
    name,
    status,
    timezone,
    locale,
    currency,
    ai: {
      enabled: organization.aiEnabled,
      modelPreference: organization.aiModelPreference,
      confidenceThreshold: organization.aiConfidenceThreshold,
      monthlyBudgetMicros: organization.aiMonthlyBudgetMicros === null ? null : Number(organization.aiMonthlyBudgetMicros),
    },
    requireTwoFactor,
    revision,
  }
}
