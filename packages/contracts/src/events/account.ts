import { z } from 'zod'
import { defineEvent } from '../define-event.ts'
import {
  Actor,
  ConnectionProvider,
  ConnectionStatus,
  KeyRecord,
  Limits,
  Membership,
  Metric,
  OrganizationRecord,
  Plan,
  Role,
  SealedCredentials,
  SubscriptionStatus,
} from '../entities/account.ts'
import { ExternalId, Id, Timestamp } from '../primitives.ts'

/**
 * The organization of what belongs to no organization: sign-ups, signing keys, sessions. No row of a customer ever has it, and
 * no key or member can act for it.
 */
export const installationId = '00000000-0000-0000-0000-000000000000'

export const organizationCreated = defineEvent({
  type: 'organization.created',
  version: 1,
  key: 'organizationId',
  summary: 'A business signed up.',
  data: OrganizationRecord,
})

export const organizationUpdated = defineEvent({
  type: 'organization.updated',
  version: 1,
  key: 'organizationId',
  summary: 'Something about a business changed; the whole of it as it is now.',
  data: OrganizationRecord,
})

export const memberInvited = defineEvent({
  type: 'member.invited',
  version: 1,
  key: 'invitationId',
  summary: 'Somebody was asked to join an organization.',
  data: z.object({ invitationId: Id, role: Role, invitedBy: Id.nullable(), expiresAt: Timestamp, sendCount: z.int().min(1) }),
})

export const memberJoined = defineEvent({
  type: 'member.joined',
  version: 1,
  key: 'userId',
  summary: 'Somebody became a member of an organization.',
  data: Membership,
})

export const memberChanged = defineEvent({
  type: 'member.changed',
  version: 1,
  key: 'userId',
  summary: 'A member has another role, other permissions or another status.',
  data: Membership,
})

export const memberRemoved = defineEvent({
  type: 'member.removed',
  version: 1,
  key: 'userId',
  summary: 'Somebody is no longer a member of an organization.',
  data: Membership,
})

export const keyChanged = defineEvent({
  type: 'api_key.changed',
  version: 1,
  key: 'keyId',
  summary: 'An API key was made, changed, rotated or revoked; the whole of it as it is now.',
  data: KeyRecord,
})

export const signingKeyChanged = defineEvent({
  type: 'signing_key.changed',
  version: 1,
  key: 'kid',
  summary:
    'A key that access tokens are signed with came up or is no longer trusted. Of the installation, not of one organization.',
  data: z.object({
    kid: z.string().min(8).max(64),
    /** RFC 8037 public key, an Ed25519 point in base64url. */
    x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    /** Tokens of this key are refused from then on; null while it signs. */
    trustedUntil: Timestamp.nullable(),
  }),
})

export const sessionRevoked = defineEvent({
  type: 'session.revoked',
  version: 1,
  key: 'sessionId',
  summary: 'A session ended before its time: its access tokens are refused at once. Of the installation.',
  data: z.object({
    sessionId: Id,
    userId: Id,
    /** By then every access token of the session has expired by itself. */
    forgetAfter: Timestamp,
  }),
})

export const connectionChanged = defineEvent({
  type: 'connection.changed',
  version: 1,
  key: 'connectionId',
  summary: 'Credentials of an outside system were connected, changed or removed; the whole of the connection as it is now.',
  data: z.object({
    connectionId: Id,
    provider: ConnectionProvider,
    /** The account at the provider that it is about (Whapi channel, shop domain); null where there is none. */
    accountId: ExternalId.nullable(),
    displayName: z.string().max(200),
    status: ConnectionStatus,
    /** What is not secret: base URL, model, sender. */
    settings: z.record(z.string().max(64), z.union([z.string().max(2_048), z.number(), z.boolean(), z.null()])),
    /** Null when it was removed. */
    credentials: SealedCredentials.nullable(),
    /** The door for the provider's webhooks that belongs to it, when there is one. */
    webhook: z
      .object({
        sourceId: Id,
        /** SHA-256 of the address' token, hex. */
        tokenHash: z.string().regex(/^[0-9a-f]{64}$/),
        headerName: z.string().max(128).nullable(),
      })
      .nullable(),
    revision: z.int().min(1),
  }),
})

export const connectionReported = defineEvent({
  type: 'connection.reported',
  version: 1,
  key: 'connectionId',
  summary: 'A service used a connection and says how that went: accepted, refused, throttled.',
  data: z.object({
    connectionId: Id,
    outcome: z.enum(['ok', 'refused', 'throttled', 'failed']),
    detail: z.string().max(1_000).nullable(),
    rateLimit: z.object({ remaining: z.int().min(0), resetAt: Timestamp }).nullable(),
    at: Timestamp,
  }),
})

export const usageRecorded = defineEvent({
  type: 'usage.recorded',
  version: 1,
  key: 'metric',
  summary: 'Use was counted towards an organization’s month.',
  data: z.object({
    metric: Metric,
    quantity: z.int().min(0),
    /** First day of the month in the organization's zone, YYYY-MM-01. */
    month: z.string().regex(/^\d{4}-\d{2}-01$/),
    /** After this. */
    used: z.int().min(0),
    limit: z.int().min(0).nullable(),
  }),
})

export const usageLimitReached = defineEvent({
  type: 'usage.limit_reached',
  version: 1,
  key: 'metric',
  summary: 'An organization has used 80 % or all of what its plan allows in a month.',
  data: z.object({
    metric: Metric,
    percent: z.union([z.literal(80), z.literal(100)]),
    month: z.string().regex(/^\d{4}-\d{2}-01$/),
    used: z.int().min(0),
    limit: z.int().min(0),
    /** True when the plan stops here rather than charging overage. */
    stops: z.boolean(),
  }),
})

export const allowanceChanged = defineEvent({
  type: 'usage.allowance_changed',
  version: 1,
  key: 'allowance',
  summary: 'What an organization may still use this month changed in kind: a stop began or ended, or its limits are others.',
  data: z.object({
    /** Always `allowance`: one of an organization, in order. */
    allowance: z.literal('allowance'),
    month: z.string().regex(/^\d{4}-\d{2}-01$/),
    /** IANA zone in which the month begins and ends, so that others know the next month without being told; UTC when absent. */
    timezone: z.string().max(64).optional(),
    /** Only those at which something stops; null where there is none, or where more is charged instead. */
    limits: Limits,
    /** Metrics that are used up and whose plan stops. */
    stopped: z.array(Metric).max(10),
    revision: z.int().min(1),
  }),
})

export const subscriptionChanged = defineEvent({
  type: 'subscription.changed',
  version: 1,
  key: 'subscriptionId',
  summary: 'An organization is on another plan, or its subscription has another status.',
  data: z.object({
    subscriptionId: Id,
    plan: Plan,
    status: SubscriptionStatus,
    previousPlan: Plan.nullable(),
    billingCycle: z.enum(['monthly', 'annual']),
    changedAt: Timestamp,
  }),
})

const Call = {
  /** The call's own id. */
  requestId: z.string().max(64),
  actor: Actor,
  ip: z.string().max(64).nullable(),
  userAgent: z.string().max(512).nullable(),
  at: Timestamp,
}

export const changeAudited = defineEvent({
  type: 'audit.change_recorded',
  version: 1,
  key: 'resourceId',
  summary: 'A call changed something: who, what, before and after. Stated in the transaction of the change.',
  data: z.object({
    ...Call,
    /** `POST /v1/conversations/:id`, or the name of what a service did by itself. */
    action: z.string().min(1).max(200),
    resourceType: z.string().min(1).max(64),
    resourceId: z.string().min(1).max(256),
    /** Only what changed; secrets as `•••`. */
    before: z.record(z.string(), z.json()).nullable(),
    after: z.record(z.string(), z.json()).nullable(),
    reason: z.string().max(1_000).nullable(),
  }),
})

export const readAudited = defineEvent({
  type: 'audit.read_recorded',
  version: 1,
  key: 'requestId',
  summary: 'A call read personal data: who, what kind, which one. Stored before the answer went out.',
  data: z.object({
    ...Call,
    /** `GET /v1/customers/:id`. */
    action: z.string().min(1).max(200),
    resourceType: z.string().min(1).max(64),
    /** Null for a list. */
    resourceId: z.string().max(256).nullable(),
    /** How many rows the answer had. */
    count: z.int().min(0),
  }),
})
