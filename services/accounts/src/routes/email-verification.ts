import { EmailAddress, installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { route } from '../app.ts'
import { commitForAll, commitIn, memberActor } from '../as-installation.ts'
import { DeviceToken, proveAgain, PasswordInput, TokenInput } from '../credentials.ts'
import { findOneTimeToken, type OneTimeToken, takeOneTimeToken } from '../db/one-time-tokens.ts'
import { createOrganization } from '../db/organizations.ts'
import type { TokenPurpose } from '../db/people-types.ts'
import { findOrCreateUser, findUser, findUserByEmail, lockUser, updateUser } from '../db/users.ts'
import { tellSecurityChange } from '../links.ts'
import { askForMail } from '../mail-request.ts'
import { personOf } from '../manager.ts'
import { normalPassword } from '../rules/password.ts'
import { openSession, SignedIn, signedIn } from '../open-session.ts'
import { spendPending } from '../steps/secure-account.ts'
import { hashToken } from '../tokens.ts'
import type { App } from '../app.ts'

/** One text for a link that never was, is used or is too old: which of them it is helps only a guesser. */
export const linkIsOver = () => new AppError('gone', 'This link was used before or is too old. Ask for a new one.')

/** What a link is about. Throws AppError `gone`. */
export async function requireLink(app: App, purpose: TokenPurpose, token: string): Promise<OneTimeToken> {
  const found = await app.database.read(installationId, (tx) => findOneTimeToken(tx, purpose, hashToken(token), app.now()))
  if (found === undefined) throw linkIsOver()
  return found
}

export const verifyEmail = route({
  method: 'POST',
  path: '/v1/auth/verify-email',
  summary: 'Open the account of a sign-up with the token from the mail and the password it was asked for with, and sign in.',
  scope: 'public',
  refuses: {
    forbidden: 'This is not the password of that sign-up. If you did not sign up yourself, do so now.',
    conflict: 'This address has an account by now. Sign in.',
    gone: 'This link was used before or is too old. Ask for a new one.',
  },
  body: z.strictObject({
    token: TokenInput,
    password: PasswordInput.describe(
      'The one of the sign-up: who was sent a link that somebody else asked for does not know it.',
    ),
    deviceToken: DeviceToken,
  }),
  reply: SignedIn,
  async run({ body, ...call }) {
    const { app, from } = call
    const action = 'POST /v1/auth/verify-email'
    const { email, details } = await requireLink(app, 'sign_up', body.token)
    // A stranger may sign up with your address and a password of theirs: following the link alone must not hand them your account.
    if (details.passwordHash === undefined || !(await app.passwords.verify(normalPassword(body.password), details.passwordHash)))
      throw new AppError('forbidden', 'This is not the password of that sign-up. If you did not sign up yourself, do so now.')
    const actingFor = details.organizationName === undefined ? null : randomUUIDv7()
    const opened = await commitIn(call, { organizationId: actingFor ?? installationId, action }, async (tx, tools) => {
      const now = app.now()
      if (!(await takeOneTimeToken(tx, 'sign_up', hashToken(body.token), now))) throw linkIsOver()
      const { user, created } = await findOrCreateUser(tx, {
        email,
        emailVerifiedAt: now,
        passwordHash: details.passwordHash ?? null,
        displayName: details.name ?? null,
        locale: details.locale ?? null,
        timezone: details.timezone ?? null,
      })
      // Two sign-ups of one address: the link that was followed first has opened the account, with its password.
      if (!created) throw new AppError('conflict', 'This address has an account by now. Sign in.')
      const { userId } = user
      tools.audit({ resourceType: 'user', resourceId: userId, before: null, after: { emailVerified: true } })
      if (actingFor !== null && details.organizationName !== undefined) {
        await createOrganization(tx, tools, {
          organizationId: actingFor,
          name: details.organizationName,
          ownerId: userId,
          locale: details.locale,
          timezone: details.timezone,
        })
      }
      return openSession(app, tx, tools, {
        userId,
        method: 'verification',
        secondFactor: false,
        actingFor,
        from,
        deviceToken: body.deviceToken,
      })
    })
    return signedIn(app, opened)
  },
})

export const changeEmail = route({
  method: 'POST',
  path: '/v1/me/email',
  summary: 'Ask to sign in with another e-mail address; it changes when the link that is sent there is followed.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.' },
  body: z.strictObject({ email: EmailAddress, password: PasswordInput.optional() }),
  reply: z.object({ message: z.string() }),
  status: 202,
  async run({ body, ...call }) {
    const { app, caller } = call
    const userId = personOf(caller)
    const user = await app.database.read(installationId, (tx) => findUser(tx, userId))
    if (user === undefined) throw new AppError('not_found', 'There is no such person.')
    await proveAgain(app, caller, user, body.password)
    await askForMail(call, { kind: 'email_change', email: body.email, userId, action: 'POST /v1/me/email' })
    return { message: 'Look into the mail of the new address.' }
  },
})

export const confirmEmail = route({
  method: 'POST',
  path: '/v1/auth/confirm-email',
  summary: 'Take a new e-mail address with the token that was sent there.',
  scope: 'public',
  refuses: {
    conflict: 'This address has an account of its own by now.',
    gone: 'This link was used before or is too old. Ask for a new one.',
  },
  body: z.strictObject({ token: TokenInput }),
  reply: z.object({ email: z.string() }),
  async run({ body, ...call }) {
    const { app } = call
    const { userId, email } = await requireLink(app, 'email_change', body.token)
    if (userId === null) throw linkIsOver()
    await commitForAll(call, { action: 'POST /v1/auth/confirm-email', actor: memberActor(userId) }, async (tx, tools) => {
      const now = app.now()
      if (!(await takeOneTimeToken(tx, 'email_change', hashToken(body.token), now))) throw linkIsOver()
      const before = await lockUser(tx, userId)
      if (before === undefined || before.status !== 'active') throw linkIsOver()
      if (await findUserByEmail(tx, email)) throw new AppError('conflict', 'This address has an account of its own by now.')
      await updateUser(tx, userId, { email, emailVerifiedAt: now })
      // Links that went to the address of before, or that somebody in another session asked for, end with it.
      await spendPending(tx, userId, now)
      await tellSecurityChange(app, tx, tools, before, 'email_changed')
      tools.audit({ resourceType: 'user', resourceId: userId, before: { email: before.email }, after: { email } })
    })
    return { email }
  },
})
