import { z } from 'zod'
import { Currency, Id, Timestamp } from '../primitives.ts'
import { Permission } from '../permissions.ts'

/** What a member may do by default: see `rolePermissions`. */
export const Role = z.enum(['owner', 'admin', 'manager', 'product_editor', 'support', 'viewer'])
export type Role = z.infer<typeof Role>

export const MemberStatus = z.enum(['active', 'suspended', 'removed'])
export type MemberStatus = z.infer<typeof MemberStatus>

/** Membership as every service keeps it beside its data: whole, so that the newest revision alone is the truth. */
export const Membership = z.object({
  userId: Id,
  role: Role,
  /** On top of the role's. */
  permissions: z.array(Permission).max(100),
  status: MemberStatus,
  /** Rises with each change of this membership; an older one never replaces a newer. */
  revision: z.int().min(1),
})
export type Membership = z.infer<typeof Membership>

/** An API key as every service keeps it: never the key, whose secret part has 256 random bits (reliability.md D42). */
export const KeyRecord = z.object({
  keyId: z.string().regex(/^[0-9A-Za-z]{12,64}$/),
  /** HMAC-SHA-256 of the secret part. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** After a rotation, the hash before it and until when it still opens. */
  previous: z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/), until: Timestamp }).nullable(),
  scopes: z.array(z.string().max(64)).max(100),
  perMinute: z.int().min(1).nullable(),
  perDay: z.int().min(1).nullable(),
  expiresAt: Timestamp.nullable(),
  /** The person it speaks for: it may never do more than they may at that moment. Null: the operator made it. Absent: not told yet. */
  makerId: Id.nullable().optional(),
  status: z.enum(['active', 'revoked']),
  revision: z.int().min(1),
})
export type KeyRecord = z.infer<typeof KeyRecord>

export const Plan = z.enum(['free', 'starter', 'professional', 'enterprise'])
export type Plan = z.infer<typeof Plan>
export const SubscriptionStatus = z.enum(['trialing', 'active', 'past_due', 'cancelled', 'suspended'])
export type SubscriptionStatus = z.infer<typeof SubscriptionStatus>

/** What is metered in a month. `ai_spend` is in micro-units of the plan's currency (a millionth of a dollar or euro). */
export const Metric = z.enum(['messages', 'ai_requests', 'customers', 'ai_spend'])
export type Metric = z.infer<typeof Metric>

/** Null: no limit. */
export const Limits = z.object({
  messages: z.int().min(0).nullable(),
  aiRequests: z.int().min(0).nullable(),
  customers: z.int().min(0).nullable(),
  aiSpendMicros: z.int().min(0).nullable(),
})
export type Limits = z.infer<typeof Limits>

/** An organization as other services need it. */
export const OrganizationRecord = z.object({
  organizationId: Id,
  name: z.string().min(1).max(200),
  status: z.enum(['pending_setup', 'active', 'inactive']),
  /** IANA zone: months and days of this organization begin there. */
  timezone: z.string().max(64),
  /** BCP 47. */
  locale: z.string().max(35),
  currency: Currency,
  ai: z.object({
    enabled: z.boolean(),
    modelPreference: z.string().max(100).nullable(),
    confidenceThreshold: z.number().min(0).max(1),
    monthlyBudgetMicros: z.int().min(0).nullable(),
  }),
  /** Members act here only in sessions that were opened with a second factor. Absent: as false. */
  requireTwoFactor: z.boolean().optional(),
  revision: z.int().min(1),
})
export type OrganizationRecord = z.infer<typeof OrganizationRecord>

/** Outside systems that a connection holds credentials of. */
export const ConnectionProvider = z.enum([
  'whapi',
  'shopify',
  'elevenlabs',
  'tavus',
  'openai',
  'twilio',
  'smtp',
  'sendgrid',
  'slack',
  'custom',
])
export type ConnectionProvider = z.infer<typeof ConnectionProvider>

export const ConnectionStatus = z.enum(['pending', 'active', 'inactive', 'error', 'removed'])
export type ConnectionStatus = z.infer<typeof ConnectionStatus>

/** Credentials under the organization's own data key, which travels wrapped (reliability.md D41). */
export const SealedCredentials = z.object({
  /** Version of the organization's data key. */
  keyVersion: z.int().min(1),
  /** The data key, sealed with the installation's key: `openText` opens it. */
  wrappedKey: z.string().max(512),
  sealed: z.string().max(32_768),
})
export type SealedCredentials = z.infer<typeof SealedCredentials>

/** Who did something. `system`: nobody asked, a timer or an event did. */
export const Actor = z.object({
  kind: z.enum(['member', 'key', 'operator', 'customer', 'system']),
  id: z.string().max(64),
})
export type Actor = z.infer<typeof Actor>
