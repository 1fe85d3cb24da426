import type { Actor, MemberStatus, OrganizationRecord, Permission, Role } from '@parley/contracts'
import type { ColumnType } from 'kysely'
import type { ConnectionTables } from './connection-tables.ts'
import type { PlanTables } from './plan-tables.ts'
import type { PeopleTables } from './people-types.ts'
import type { InvitationStatus } from '../rules/invitation.ts'
import type { NotificationChange } from '../rules/notifications.ts'
import type { OnboardingStep } from '../rules/onboarding.ts'
import type { Address } from '../rules/organization.ts'

export type { Allowance, BillingTransactions, Subscriptions, TransactionType, UsageType } from './plan-tables.ts'

export type Timestamp = ColumnType<Date, Date | string, Date | string>
export type Generated<T> =
  T extends ColumnType<infer S, infer I, infer U> ? ColumnType<S, I | undefined, U> : ColumnType<T, T | undefined, T>

export type Json<T> = ColumnType<T, string, string>
/** bigint comes as text: it exceeds what a number holds. */
export type Int8 = ColumnType<string, number, number>

export interface Organizations {
  organizationId: string
  name: string
  domain: string | null
  subdomain: string | null
  website: string | null
  contactName: string | null
  contactEmail: string | null
  contactPhone: string | null
  billingEmail: string | null
  address: Json<Address> | null
  timezone: string
  locale: string
  currency: string
  aiEnabled: Generated<boolean>
  aiModelPreference: string | null
  aiConfidenceThreshold: Generated<number>
  aiMonthlyBudgetMicros: Int8 | null
  status: Generated<OrganizationRecord['status']>
  requireTwoFactor: Generated<boolean>
  onboardingSteps: Generated<OnboardingStep[]>
  onboardingCompletedAt: Timestamp | null
  revision: Generated<number>
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

interface Subdomains {
  subdomain: string
  takenBy: string
  takenAt: Generated<Timestamp>
}

export interface Members {
  organizationId: string
  userId: string
  role: Role
  permissions: Generated<Permission[]>
  status: Generated<MemberStatus>
  notificationPreferences: ColumnType<NotificationChange, string | undefined, string>
  onboardingStep: string | null
  onboardingCompleted: Generated<boolean>
  invitedBy: string | null
  joinedAt: Generated<Timestamp>
  removedAt: Timestamp | null
  revision: Generated<number>
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

interface UserOrganizations {
  userId: string
  memberOf: string
  joinedAt: Generated<Timestamp>
}

export interface Invitations {
  organizationId: string
  invitationId: string
  email: string
  role: Role
  permissions: Generated<Permission[]>
  personalMessage: string | null
  invitedBy: string | null
  tokenHash: Buffer
  status: Generated<InvitationStatus>
  expiresAt: Timestamp
  sentCount: Generated<number>
  lastSentAt: Timestamp
  acceptedAt: Timestamp | null
  acceptedBy: string | null
  revokedAt: Timestamp | null
  revokedBy: string | null
  createdAt: Generated<Timestamp>
}

/** What was changed: only added to. */
export interface AuditEntries {
  organizationId: string
  entryId: string
  requestId: string
  actorKind: Actor['kind']
  actorId: string
  ip: string | null
  userAgent: string | null
  at: Timestamp
  action: string
  resourceType: string
  resourceId: string
  before: ColumnType<Record<string, unknown> | null, string | null, never>
  after: ColumnType<Record<string, unknown> | null, string | null, never>
  reason: string | null
}

interface AuditUnsealed {
  organizationId: string
  entryId: string
  seq: Generated<Int8>
  queuedAt: Generated<Timestamp>
}

/** Only added to. */
interface AuditChain {
  organizationId: string
  sequence: Int8
  entryId: string
  previousHash: string
  hash: string
  sealedAt: Timestamp
}

interface AuditHeads {
  organizationId: string
  sequence: Int8
  hash: string
  sealedAt: Timestamp
}

/** Who read personal data: only added to. */
interface DataAccess {
  organizationId: string
  entryId: string
  requestId: string
  actorKind: Actor['kind']
  actorId: string
  ip: string | null
  userAgent: string | null
  at: Timestamp
  action: string
  resourceType: string
  resourceId: string | null
  rowCount: number
}

export interface ApiKeys {
  organizationId: string
  keyId: string
  name: string
  lastFour: string
  hash: string
  previousHash: string | null
  previousUntil: Timestamp | null
  scopes: Permission[]
  perMinute: number | null
  perDay: number | null
  expiresAt: Timestamp | null
  status: Generated<'active' | 'revoked'>
  agentId: string | null
  createdBy: string
  createdByUser: string | null
  rotatedAt: Timestamp | null
  revokedAt: Timestamp | null
  revokedBy: string | null
  lastUsedAt: Timestamp | null
  totalRequests: Generated<Int8>
  revision: Generated<number>
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

interface UserPreferences {
  userId: string
  sealedPreferences: string
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

export interface DB extends PeopleTables, PlanTables, ConnectionTables {
  auditEntries: AuditEntries
  auditUnsealed: AuditUnsealed
  auditChain: AuditChain
  auditHeads: AuditHeads
  dataAccess: DataAccess
  organizations: Organizations
  subdomains: Subdomains
  members: Members
  userOrganizations: UserOrganizations
  invitations: Invitations
  apiKeys: ApiKeys
  userPreferences: UserPreferences
}
