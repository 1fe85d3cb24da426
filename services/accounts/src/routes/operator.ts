import { EmailAddress, Id, OrganizationRecord, WrittenText } from '@parley/contracts'
import { AppError, type Caller } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import {
  createOrganization,
  findOrganization,
  lockOrganization,
  lockOrganizationId,
  recordOf,
  updateOrganization,
} from '../db/organizations.ts'
import { findOrCreateUser } from '../db/users.ts'
import { Line, NewOrganizationFields } from '../organization-fields.ts'

const Reply = z.object({ ...OrganizationRecord.shape, created: z.boolean(), ownerId: Id.nullable() })

/**
 * For who runs the installation: an organization with an owner, for data that was there before there were people. Asked again with
 * the same id it changes nothing.
 */
export const postOperatorOrganization = route({
  method: 'POST',
  path: '/v1/operator/organizations',
  summary: 'Bring an organization with its owner into being, once (operator).',
  scope: 'ops:write',
  body: z.strictObject({
    ...NewOrganizationFields.shape,
    organizationId: Id.optional().describe('Left out: the organization that the operator’s key is for.'),
    ownerEmail: EmailAddress.describe('A new person’s address counts as proved: the operator vouches for it.'),
    ownerName: Line(200).optional(),
  }),
  reply: Reply,
  async run({ body, caller, from, requestId, app }) {
    assertOperator(caller)
    const { ownerEmail, ownerName, organizationId = caller.organizationId, ...fields } = body
    const origin = {
      organizationId,
      correlationId: requestId,
      call: { requestId, actor: caller.actor, from, action: 'POST /v1/operator/organizations' },
    }
    return app.database.commit(origin, async (tx, tools) => {
      await lockOrganizationId(tx, organizationId)
      const known = await findOrganization(tx, organizationId)
      if (known) return { ...recordOf(known), created: false, ownerId: null }
      const { user } = await findOrCreateUser(tx, {
        email: ownerEmail,
        emailVerifiedAt: app.now(),
        displayName: ownerName ?? null,
        locale: fields.locale ?? null,
      })
      const organization = await createOrganization(tx, tools, { organizationId, ownerId: user.userId, ...fields })
      return { ...recordOf(organization), created: true, ownerId: user.userId }
    })
  },
})

export const patchOperatorOrganization = route({
  method: 'PATCH',
  path: '/v1/operator/organizations/:organizationId',
  summary: 'Close an organization or open it again (operator).',
  scope: 'ops:write',
  refuses: { not_found: 'There is no such organization.' },
  params: z.strictObject({ organizationId: Id }),
  body: z.strictObject({ status: z.enum(['active', 'inactive']), reason: WrittenText(500) }),
  reply: OrganizationRecord,
  async run({ params: { organizationId }, body: { status, reason }, caller, from, requestId, app }) {
    assertOperator(caller)
    const origin = {
      organizationId,
      correlationId: requestId,
      call: { requestId, actor: caller.actor, from, action: 'PATCH /v1/operator/organizations/:organizationId' },
    }
    return app.database.commit(origin, async (tx, tools) => {
      const before = await lockOrganization(tx, organizationId)
      if (!before) throw new AppError('not_found', 'There is no such organization.')
      if (before.status === status) return recordOf(before)
      tools.audit({
        resourceType: 'organization',
        resourceId: organizationId,
        before: { status: before.status },
        after: { status },
        reason,
      })
      return recordOf(await updateOrganization(tx, tools, organizationId, { status }))
    })
  },
})

/** An owner has `ops:write` too, for the dead letters of their own organization; other organizations are not theirs. */
export function assertOperator(caller: Caller): void {
  if (caller.actor.kind !== 'operator') throw new AppError('forbidden', 'This is for who runs the installation.')
}
