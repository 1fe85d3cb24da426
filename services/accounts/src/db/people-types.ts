import type { ColumnType } from 'kysely'
import type { Generated, Int8, Timestamp } from './types.ts'

export interface Users {
  userId: string
  email: string
  emailVerifiedAt: Timestamp | null
  passwordHash: string | null
  passwordChangedAt: Timestamp | null
  requirePasswordChange: Generated<boolean>
  status: Generated<'active' | 'suspended'>
  firstName: string | null
  lastName: string | null
  displayName: string | null
  avatarUrl: string | null
  phone: string | null
  timezone: string | null
  locale: string | null
  sealedTotp: string | null
  totpConfirmedAt: Timestamp | null
  totpLastStep: Int8 | null
  lastMemberOf: string | null
  signInCount: Generated<number>
  lastSignInAt: Timestamp | null
  lastActivityAt: Timestamp | null
  createdAt: Generated<Timestamp>
  updatedAt: Generated<Timestamp>
}

export type SignInMethod = 'password' | 'magic_link' | 'verification' | 'outside'
export type EndReason =
  | 'signed_out'
  | 'revoked'
  | 'password_changed'
  | 'token_reused'
  | 'suspended'
  | 'replaced'
  | 'two_factor_off'
  | 'two_factor_on'

export interface Sessions {
  sessionId: string
  userId: string
  actingFor: string | null
  method: SignInMethod
  secondFactor: Generated<boolean>
  deviceHash: Buffer | null
  authenticatedAt: Timestamp
  ip: string | null
  userAgent: string | null
  createdAt: Generated<Timestamp>
  lastUsedAt: Timestamp
  expiresAt: Timestamp
  endedAt: Timestamp | null
  endReason: EndReason | null
}

interface RefreshTokens {
  tokenHash: Buffer
  sessionId: string
  createdAt: Timestamp
  usedAt: Timestamp | null
  successorNonce: Buffer | null
}

interface KnownDevices {
  tokenHash: Buffer
  userId: string
  createdAt: Generated<Timestamp>
  lastUsedAt: Timestamp
}

export type TokenPurpose = 'sign_up' | 'magic_link' | 'password_reset' | 'email_change'

/** What a sign-up asked for. */
export interface SignUpDetails {
  passwordHash?: string
  name?: string
  organizationName?: string
  locale?: string
  timezone?: string
}

export interface OneTimeTokens {
  tokenHash: Buffer
  purpose: TokenPurpose
  userId: string | null
  email: string
  details: ColumnType<SignUpDetails, string | undefined, string>
  requestHash: Buffer | null
  codeHash: string | null
  createdAt: Timestamp
  expiresAt: Timestamp
  usedAt: Timestamp | null
}

interface RecoveryCodes {
  userId: string
  codeHash: Buffer
  usedAt: Timestamp | null
}

export interface SigningKeys {
  kid: string
  x: string
  sealedPrivate: string | null
  createdAt: Timestamp
  activeFrom: Timestamp
  trustedUntil: Timestamp | null
}

export interface Mails {
  mailId: string
  kind: string
  recipient: string
  subject: string
  sealedText: string | null
  state: Generated<'waiting' | 'sent' | 'kept' | 'refused' | 'late'>
  error: string | null
  createdAt: Generated<Timestamp>
  sendBefore: Timestamp | null
  settledAt: Timestamp | null
}

export interface MailRequests {
  requestId: string
  kind: TokenPurpose
  userId: string | null
  email: string
  details: ColumnType<SignUpDetails, string | undefined, string>
  requestHash: Buffer | null
  createdAt: Timestamp
}

interface SignInAttempts {
  subject: string
  failures: number
  lastAt: Timestamp
  blockedUntil: Timestamp
}

interface OutsideIdentities {
  issuer: string
  subject: string
  userId: string
  createdAt: Generated<Timestamp>
}

/** Tables about people and the installation: none has an organization (migration 001 says why). */
export interface PeopleTables {
  users: Users
  sessions: Sessions
  refreshTokens: RefreshTokens
  knownDevices: KnownDevices
  oneTimeTokens: OneTimeTokens
  recoveryCodes: RecoveryCodes
  signingKeys: SigningKeys
  mails: Mails
  mailRequests: MailRequests
  signInAttempts: SignInAttempts
  outsideIdentities: OutsideIdentities
}
