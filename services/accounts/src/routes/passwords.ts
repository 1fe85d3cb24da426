import { EmailAddress, installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { commitForAll, memberActor } from '../as-installation.ts'
import { PasswordInput, passwordOwner, proveAgain, requireGoodPassword, TokenInput } from '../credentials.ts'
import { forgetDevices, rememberDevice } from '../db/known-devices.ts'
import { takeOneTimeToken } from '../db/one-time-tokens.ts'
import { findUser, lockUser, updateUser } from '../db/users.ts'
import { tellSecurityChange } from '../links.ts'
import { askForMail } from '../mail-request.ts'
import { personOf } from '../manager.ts'
import { normalPassword } from '../rules/password.ts'
import { secureAccount } from '../steps/secure-account.ts'
import { hashToken, newToken } from '../tokens.ts'
import { linkIsOver, requireLink } from './email-verification.ts'

export const askPasswordReset = route({
  method: 'POST',
  path: '/v1/auth/password-reset',
  summary: 'Ask for a link to choose a new password with. The answer is the same for every address.',
  scope: 'public',
  perMinute: 20,
  body: z.strictObject({ email: EmailAddress }),
  reply: z.object({ message: z.string() }),
  status: 202,
  async run({ body, ...call }) {
    await askForMail(call, { kind: 'password_reset', email: body.email, action: 'POST /v1/auth/password-reset' })
    return { message: 'If there is an account with this address, a link is on its way.' }
  },
})

export const redeemPasswordReset = route({
  method: 'POST',
  path: '/v1/auth/password-reset/redeem',
  summary:
    'Choose a new password with the token of a link. Every session ends; sign in anew, with the second factor if one is on.',
  scope: 'public',
  refuses: { gone: 'This link was used before or is too old. Ask for a new one.' },
  body: z.strictObject({ token: TokenInput, newPassword: PasswordInput }),
  reply: z.object({
    sessionsEnded: z.int(),
    deviceToken: z.string().describe('Send it with the sign-in that follows: others’ wrong guesses then do not slow it down.'),
  }),
  async run({ body, ...call }) {
    const { app } = call
    const { userId } = await requireLink(app, 'password_reset', body.token)
    const user = userId === null ? undefined : await app.database.read(installationId, (tx) => findUser(tx, userId))
    if (user === undefined || user.status !== 'active') throw linkIsOver()
    await requireGoodPassword(app, body.newPassword, await passwordOwner(app, user), 'body.newPassword')
    const passwordHash = await app.passwords.hash(normalPassword(body.newPassword))
    const deviceToken = newToken()
    const what = { action: 'POST /v1/auth/password-reset/redeem', actor: memberActor(user.userId) }
    const sessionsEnded = await commitForAll(call, what, async (tx, tools) => {
      const now = app.now()
      if (!(await takeOneTimeToken(tx, 'password_reset', hashToken(body.token), now))) throw linkIsOver()
      await updateUser(tx, user.userId, {
        passwordHash,
        passwordChangedAt: now,
        requirePasswordChange: false,
        // Whoever follows the link reads this mailbox.
        emailVerifiedAt: user.emailVerifiedAt ?? now,
      })
      // Whoever had the old password, a link or a device of theirs is out.
      await forgetDevices(tx, user.userId)
      // Whoever reads the mailbox may sign in next, while a stranger guesses: their tries are counted by themselves.
      await rememberDevice(tx, user.userId, hashToken(deviceToken), now)
      const ended = await secureAccount(tx, tools, user.userId, { except: null, reason: 'password_changed', at: now })
      await tellSecurityChange(app, tx, tools, user, 'password_changed')
      tools.audit({ resourceType: 'password', resourceId: user.userId, before: null, after: { sessionsEnded: ended.length } })
      return ended.length
    })
    return { sessionsEnded, deviceToken }
  },
})

export const changePassword = route({
  method: 'POST',
  path: '/v1/me/password',
  summary: 'Choose another password, or a first one. Your other sessions end.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.', conflict: 'The password was changed in this moment.' },
  body: z.strictObject({ currentPassword: PasswordInput.optional(), newPassword: PasswordInput }),
  reply: z.object({ sessionsEnded: z.int() }),
  async run({ body, ...call }) {
    const { app, caller } = call
    const userId = personOf(caller)
    const user = await app.database.read(installationId, (tx) => findUser(tx, userId))
    if (user === undefined) throw new AppError('not_found', 'There is no such person.')
    await proveAgain(app, caller, user, body.currentPassword)
    await requireGoodPassword(app, body.newPassword, await passwordOwner(app, user), 'body.newPassword')
    const passwordHash = await app.passwords.hash(normalPassword(body.newPassword))
    const sessionsEnded = await commitForAll(call, { action: 'POST /v1/me/password' }, async (tx, tools) => {
      const now = app.now()
      const locked = await lockUser(tx, userId)
      if (locked?.passwordHash !== user.passwordHash) throw new AppError('conflict', 'The password was changed in this moment.')
      await updateUser(tx, userId, { passwordHash, passwordChangedAt: now, requirePasswordChange: false })
      const ended = await secureAccount(tx, tools, userId, { except: caller.sessionId, reason: 'password_changed', at: now })
      await tellSecurityChange(app, tx, tools, user, 'password_changed')
      tools.audit({ resourceType: 'password', resourceId: userId, before: null, after: { sessionsEnded: ended.length } })
      return ended.length
    })
    return { sessionsEnded }
  },
})
