import { Id, OrganizationRecord, Timestamp } from '@parley/contracts'
import { AppError, type Caller, type Tx } from '@parley/runtime'
import type { Updateable } from 'kysely'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { route } from '../app.ts'
import {
  createOrganization,
  findOrganization,
  lockOrganization,
  type Organization,
  recordOf,
  takeSubdomain,
  updateOrganization,
} from '../db/organizations.ts'
import { findSession } from '../db/sessions.ts'
import type { DB, Organizations } from '../db/types.ts'
import { listUserOrganizations, mostOrganizations } from '../db/user-organizations.ts'
import { lockUser } from '../db/users.ts'
import { personOf } from '../manager.ts'
import { AddressFields, NewOrganizationFields, OrganizationChange } from '../organization-fields.ts'
import { organizationsOf } from '../organizations-of.ts'
import { changedFields } from '../rules/changed.ts'
import { onboardingSteps } from '../rules/onboarding.ts'

const OrganizationView = z.object({
  ...OrganizationRecord.shape,
  domain: z.string().nullable(),
  subdomain: z.string().nullable(),
  website: z.string().nullable(),
  contactName: z.string().nullable(),
  contactEmail: z.string().nullable(),
  contactPhone: z.string().nullable(),
  billingEmail: z.string().nullable(),
  address: AddressFields.nullable(),
  onboarding: z.object({ steps: z.array(z.enum(onboardingSteps)), completedAt: Timestamp.nullable() }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
})

export const getOrganization = route({
  method: 'GET',
  path: '/v1/organization',
  summary: 'The organization you act in.',
  scope: 'organization:read',
  refuses: { not_found: 'There is no such organization.' },
  reply: OrganizationView,
  async run({ caller, read }) {
    const organization = await read((tx) => findOrganization(tx, caller.organizationId))
    if (!organization) throw noOrganization()
    return organizationView(organization)
  },
})

export const patchOrganization = route({
  method: 'PATCH',
  path: '/v1/organization',
  summary: 'Change what is known of the organization; what is left out stays, null takes away.',
  scope: 'organization:write',
  refuses: {
    not_found: 'There is no such organization.',
    conflict: ['Turn two-factor sign-in on for yourself first.', 'Another organization has this subdomain.'],
  },
  body: OrganizationChange,
  reply: OrganizationView,
  async run({ body, caller, commit }) {
    const { organizationId } = caller
    const organization = await commit(async (tx, tools) => {
      const before = await lockOrganization(tx, organizationId)
      if (!before) throw noOrganization()
      const change = columnsOf(body)
      const changed = changedFields(comparable(before), change)
      if (!changed) return before
      if (body.requireTwoFactor === true) await requireOwnSecondFactor(tx, caller)
      if (body.subdomain !== undefined) await takeSubdomain(tx, organizationId, body.subdomain)
      tools.audit({ resourceType: 'organization', resourceId: organizationId, ...changed })
      const { address, ...rest } = change
      return updateOrganization(tx, tools, organizationId, {
        ...rest,
        ...(address === undefined ? {} : { address: address && JSON.stringify(address) }),
      })
    })
    return organizationView(organization)
  },
})

export const getOrganizations = route({
  method: 'GET',
  path: '/v1/organizations',
  summary: 'The organizations you are a member of, first joined first; at most 50.',
  scope: 'self',
  reply: z.object({
    items: z.array(
      z.object({
        organizationId: Id,
        name: z.string(),
        role: z.string(),
        status: z.enum(['active', 'suspended']),
        /** Nobody acts in it until its operator opens it again. */
        closed: z.boolean(),
      }),
    ),
  }),
  async run({ caller, app }) {
    return { items: await organizationsOf(app.database, personOf(caller)) }
  },
})

export const postOrganization = route({
  method: 'POST',
  path: '/v1/organizations',
  summary: 'Open another organization, as its owner.',
  scope: 'self',
  perMinute: 10,
  refuses: { conflict: 'A person can be in 50 organizations at most.' },
  body: NewOrganizationFields,
  reply: OrganizationView,
  status: 201,
  async run({ body, caller, from, requestId, app }) {
    const ownerId = personOf(caller)
    const organizationId = randomUUIDv7()
    // Not the caller's own commit: that one is bound to the organization they act in now.
    const origin = {
      organizationId,
      correlationId: requestId,
      call: { requestId, actor: caller.actor, from, action: 'POST /v1/organizations' },
    }
    const organization = await app.database.commit(origin, async (tx, tools) => {
      // Locked, so that two calls at once cannot both be the fiftieth.
      const owner = await lockUser(tx, ownerId)
      if (owner?.emailVerifiedAt == null) throw new AppError('forbidden', 'Prove your e-mail address first.')
      if ((await listUserOrganizations(tx, ownerId)).length >= mostOrganizations)
        throw new AppError('conflict', `A person can be in ${mostOrganizations} organizations at most.`)
      return createOrganization(tx, tools, { organizationId, ownerId, ...body })
    })
    return organizationView(organization)
  },
})

/**
 * Whoever requires a second factor has one in this session: an organization whose people sign in at an issuer that does not speak of
 * it would lock itself out. A key is no person and stays able to take the rule back.
 */
async function requireOwnSecondFactor(tx: Tx<DB>, { actor, sessionId }: Caller): Promise<void> {
  if (actor.kind !== 'member') return
  const session = sessionId === null ? undefined : await findSession(tx, sessionId)
  if (session?.secondFactor !== true)
    throw new AppError('conflict', 'Turn two-factor sign-in on for yourself first.', {
      details: { reason: 'second_factor_needed' },
    })
}

const noOrganization = () => new AppError('not_found', 'There is no such organization.')

/** The columns that a change names. Its address is still an object: it is compared before it is written. */
function columnsOf({ ai, ...change }: z.infer<typeof OrganizationChange>) {
  const named = {
    ...change,
    aiEnabled: ai?.enabled,
    aiModelPreference: ai?.modelPreference,
    aiConfidenceThreshold: ai?.confidenceThreshold,
    aiMonthlyBudgetMicros: ai?.monthlyBudgetMicros,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)) as Omit<
    Updateable<Organizations>,
    'address'
  > & { address?: z.infer<typeof AddressFields> | null }
}

/** As `columnsOf` writes it: Postgres gives a bigint as text and a jsonb in its own order. */
function comparable(organization: Organization) {
  const { address, aiMonthlyBudgetMicros: budget } = organization
  return {
    ...organization,
    address: address && AddressFields.parse(address),
    aiMonthlyBudgetMicros: budget === null ? null : Number(budget),
  }
}

function organizationView(organization: Organization): z.infer<typeof OrganizationView> {
  const { domain, subdomain, website, contactName, contactEmail, contactPhone, billingEmail, address } = organization
  return {
    ...recordOf(organization),
    domain,
    subdomain,
    website,
    contactName,
    contactEmail,
    contactPhone,
    billingEmail,
    address,
    onboarding: {
      steps: organization.onboardingSteps,
      completedAt: organization.onboardingCompletedAt?.toISOString() ?? null,
    },
    createdAt: organization.createdAt.toISOString(),
    updatedAt: organization.updatedAt.toISOString(),
  }
}
