import { Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import type { User } from './db/users.ts'

/** A person as they see themselves. */
export const UserView = z.object({
  userId: Id,
  email: z.string(),
  emailVerified: z.boolean(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  displayName: z.string().nullable(),
  avatarUrl: z.string().nullable(),
  phone: z.string().nullable(),
  timezone: z.string().nullable(),
  locale: z.string().nullable(),
  /** False for who signs in by mail or at an outside issuer only. */
  hasPassword: z.boolean(),
  requirePasswordChange: z.boolean(),
  twoFactorEnabled: z.boolean(),
  signInCount: z.int(),
  lastSignInAt: Timestamp.nullable(),
  lastActivityAt: Timestamp.nullable(),
  createdAt: Timestamp,
})

export function userView(user: User): z.infer<typeof UserView> {
  const { userId, email, firstName, lastName, displayName, avatarUrl, phone, timezone, locale, signInCount } = user
  return {
    userId,
    email,
    emailVerified: user.emailVerifiedAt !== null,
    firstName,
    lastName,
    displayName,
    avatarUrl,
    phone,
    timezone,
    locale,
    hasPassword: user.passwordHash !== null,
    requirePasswordChange: user.requirePasswordChange,
    twoFactorEnabled: user.totpConfirmedAt !== null,
    signInCount,
    lastSignInAt: user.lastSignInAt?.toISOString() ?? null,
    lastActivityAt: user.lastActivityAt?.toISOString() ?? null,
    createdAt: user.createdAt.toISOString(),
  }
}
