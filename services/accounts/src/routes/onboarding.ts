import { AppError } from '@parley/runtime'
import { Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { saveOwnMembership } from '../db/members.ts'
import { findOrganization, lockOrganization, type Organization, updateOrganization } from '../db/organizations.ts'
import { chosenOrganization, personOf } from '../manager.ts'
import { changeSteps, missingSteps, nextStep, onboardingSteps } from '../rules/onboarding.ts'

const Step = z.enum(onboardingSteps)
const OnboardingView = z.object({
  status: z.enum(['pending_setup', 'active', 'inactive']),
  steps: z.array(z.object({ step: Step, done: z.boolean() })),
  /** To show next; null: none is left. */
  next: Step.nullable(),
  /** Without these it cannot be completed. */
  missing: z.array(Step),
  completedAt: Timestamp.nullable(),
})

export const getOnboarding = route({
  method: 'GET',
  path: '/v1/onboarding',
  summary: 'How far the organization’s first set-up is.',
  scope: 'organization:read',
  refuses: { not_found: 'There is no such organization.' },
  reply: OnboardingView,
  async run({ caller, read }) {
    const organization = await read((tx) => findOrganization(tx, caller.organizationId))
    if (!organization) throw noOrganization()
    return view(organization)
  },
})

export const putOnboardingStep = route({
  method: 'PUT',
  path: '/v1/onboarding/steps/:step',
  summary: 'Mark a step of the set-up as done, or as not done.',
  scope: 'organization:write',
  refuses: { not_found: 'There is no such organization.' },
  params: z.strictObject({ step: Step }),
  body: z.strictObject({ done: z.boolean() }),
  reply: OnboardingView,
  async run({ params: { step }, body, caller, commit }) {
    const { organizationId } = caller
    const organization = await commit(async (tx, tools) => {
      const before = await lockOrganization(tx, organizationId)
      if (!before) throw noOrganization()
      const steps = changeSteps(before.onboardingSteps, step, body.done)
      if (steps.length === before.onboardingSteps.length) return before
      tools.audit({
        resourceType: 'organization',
        resourceId: organizationId,
        before: { onboardingSteps: before.onboardingSteps },
        after: { onboardingSteps: steps },
      })
      return updateOrganization(tx, tools, organizationId, { onboardingSteps: steps })
    })
    return view(organization)
  },
})

export const postOnboardingComplete = route({
  method: 'POST',
  path: '/v1/onboarding/complete',
  summary: 'End the set-up: the organization is active from then on.',
  scope: 'organization:write',
  refuses: { not_found: 'There is no such organization.', conflict: 'The set-up is not finished.' },
  body: z.strictObject({}),
  reply: OnboardingView,
  async run({ caller, app, commit }) {
    const { organizationId } = caller
    const organization = await commit(async (tx, tools) => {
      const before = await lockOrganization(tx, organizationId)
      if (!before) throw noOrganization()
      if (before.onboardingCompletedAt !== null) return before
      const missing = missingSteps(before.onboardingSteps)
      if (missing.length > 0) throw new AppError('conflict', 'The set-up is not finished.', { details: { missing } })
      const { status } = before
      // An operator's decision to close an organization is not undone by its set-up.
      const after = status === 'pending_setup' ? 'active' : status
      tools.audit({
        resourceType: 'organization',
        resourceId: organizationId,
        before: { status, onboardingCompleted: false },
        after: { status: after, onboardingCompleted: true },
      })
      return updateOrganization(tx, tools, organizationId, { status: after, onboardingCompletedAt: app.now() })
    })
    return view(organization)
  },
})

const OwnOnboarding = z.object({ step: z.string().nullable(), completed: z.boolean() })

export const patchOwnOnboarding = route({
  method: 'PATCH',
  path: '/v1/me/onboarding',
  summary: 'Keep where you are in your own introduction to the organization.',
  scope: 'self',
  refuses: { conflict: 'Choose an organization first.' },
  body: z
    .strictObject({
      step: z
        .string()
        .regex(/^[a-z0-9_-]{1,64}$/, 'must be a short name')
        .nullable(),
      completed: z.boolean(),
    })
    .partial(),
  reply: OwnOnboarding,
  async run({ body, caller, commit }) {
    const userId = personOf(caller)
    const organizationId = chosenOrganization(caller)
    const member = await commit((tx, { audit }) => {
      audit({ resourceType: 'member', resourceId: userId, before: null, after: { onboarding: body } })
      return saveOwnMembership(tx, organizationId, userId, {
        ...(body.step === undefined ? {} : { onboardingStep: body.step }),
        ...(body.completed === undefined ? {} : { onboardingCompleted: body.completed }),
      })
    })
    if (!member) throw new AppError('forbidden', 'You are not an active member of this organization.')
    return { step: member.onboardingStep, completed: member.onboardingCompleted }
  },
})

const noOrganization = () => new AppError('not_found', 'There is no such organization.')

function view(organization: Organization): z.infer<typeof OnboardingView> {
  const { status, onboardingSteps: done, onboardingCompletedAt } = organization
  return {
    status,
    steps: onboardingSteps.map((step) => ({ step, done: done.includes(step) })),
    next: nextStep(done),
    missing: missingSteps(done),
    completedAt: onboardingCompletedAt?.toISOString() ?? null,
  }
}
