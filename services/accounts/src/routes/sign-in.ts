import { EmailAddress, Id, installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { accountSubject, addressSubject, countTry, deviceSubject, forgiveTry, returnTry } from '../attempts.ts'
import { commitForAll, commitIn, memberActor } from '../as-installation.ts'
import { CodeInput, DeviceToken, PasswordInput, passwordOwner, requireGoodPassword } from '../credentials.ts'
import { isKnownDevice } from '../db/known-devices.ts'
import { findUserByEmail, lockUser, updateUser, type User } from '../db/users.ts'
import { chooseOrganization, endSessionBefore, openSession, SignedIn, signedIn } from '../open-session.ts'
import { isOldHash } from '../passwords.ts'
import { normalPassword } from '../rules/password.ts'
import { hasSecondFactor, isFromTheirApp, secondFactorRequired, secondFactorWrong, takeSecondFactor } from '../second-factor.ts'
import { hashToken } from '../tokens.ts'

/** How long a device that is not used stays known. */
const deviceMs = 180 * 86_400_000

const wrong = () => new AppError('unauthenticated', 'E-mail address or password is wrong.')

export const signIn = route({
  method: 'POST',
  path: '/v1/auth/sign-in',
  summary: 'Sign in with e-mail address and password, and a code where a second factor is on.',
  scope: 'public',
  refuses: {
    unauthenticated: [
      'E-mail address or password is wrong.',
      'Send the code of your authenticator app, or a recovery code, as well.',
      'The code is wrong, or was used before.',
    ],
    forbidden: 'Choose a new password: send it as newPassword.',
  },
  body: z.strictObject({
    email: EmailAddress,
    password: PasswordInput,
    code: CodeInput.optional().describe('Of the authenticator app, or a recovery code.'),
    deviceToken: DeviceToken,
    organizationId: Id.optional().describe('Where to begin, for who is a member of several.'),
    newPassword: PasswordInput.optional().describe('For whoever must choose a new one.'),
  }),
  reply: SignedIn,
  async run({ body, ...call }) {
    const { app, from } = call
    const action = 'POST /v1/auth/sign-in'
    const { user, known } = await app.database.read(installationId, async (tx) => {
      const found = await findUserByEmail(tx, body.email)
      const since = new Date(app.now().getTime() - deviceMs)
      const { deviceToken } = body
      return {
        user: found?.status === 'active' ? found : undefined,
        // Asked also for nobody, so that both take the same time.
        known:
          deviceToken !== undefined && (await isKnownDevice(tx, found?.userId ?? installationId, hashToken(deviceToken), since)),
      }
    })
    // A known device has tries of its own: whoever is guessing elsewhere does not keep its owner out.
    const who =
      known && body.deviceToken !== undefined ? deviceSubject(app, hashToken(body.deviceToken)) : accountSubject(app, body.email)
    const subjects = [who, addressSubject(app, from.ip)]
    await countTry(app, subjects)

    const right = await app.passwords.verify(normalPassword(body.password), user?.passwordHash ?? null)
    if (!right || user === undefined) {
      await noteRefused('wrong_password')
      throw wrong()
    }
    const { userId } = user
    if (hasSecondFactor(user) && body.code === undefined) {
      await returnTry(app, subjects)
      throw secondFactorRequired()
    }
    const passwordHash = await newPasswordHash(user)
    const actingFor = await chooseOrganization(app, user, body.organizationId)
    const organizationId = actingFor ?? installationId
    const opened = await commitIn(call, { organizationId, action, actor: memberActor(userId) }, async (tx, tools) => {
      const locked = await lockUser(tx, userId)
      // Changed since we looked: the password that was right may not be any more.
      if (locked === undefined || locked.status !== 'active' || locked.passwordHash !== user.passwordHash) return undefined
      if (hasSecondFactor(locked) && !(await takeSecondFactor(app, tx, locked, body.code ?? ''))) return undefined
      if (passwordHash !== undefined) {
        const chosen = body.newPassword !== undefined && locked.requirePasswordChange
        await updateUser(tx, userId, {
          passwordHash,
          ...(chosen ? { requirePasswordChange: false, passwordChangedAt: app.now() } : {}),
        })
      }
      return openSession(app, tx, tools, {
        userId,
        method: 'password',
        secondFactor: hasSecondFactor(locked),
        actingFor,
        from,
        deviceToken: known ? body.deviceToken : undefined,
      })
    })
    if (opened === undefined) {
      if (isFromTheirApp(app, user, body.code ?? '')) await returnTry(app, subjects)
      await noteRefused('wrong_code')
      throw secondFactorWrong()
    }
    await forgiveTry(app, subjects)
    await endSessionBefore(call, action, opened)
    return signedIn(app, opened)

    /** One entry for a known and an unknown address, in the same place: its subject is a keyed hash of the address. */
    async function noteRefused(outcome: 'wrong_password' | 'wrong_code'): Promise<void> {
      await commitForAll(call, { action }, async (_tx, { audit }) => {
        audit({ resourceType: 'sign_in', resourceId: accountSubject(app, body.email).subject, before: null, after: { outcome } })
      })
    }

    /** The password to store: a new one where that is asked for, the same one at today's cost, or none. */
    async function newPasswordHash(person: User): Promise<string | undefined> {
      if (person.requirePasswordChange) {
        if (body.newPassword === undefined) {
          await returnTry(app, subjects)
          throw new AppError('forbidden', 'Choose a new password: send it as newPassword.', {
            details: { reason: 'password_change_required' },
          })
        }
        await requireGoodPassword(app, body.newPassword, await passwordOwner(app, person), 'body.newPassword')
        if (normalPassword(body.newPassword) === normalPassword(body.password))
          throw new AppError('invalid', 'body.newPassword: It must be another one than before.')
        return app.passwords.hash(normalPassword(body.newPassword))
      }
      if (person.passwordHash !== null && isOldHash(person.passwordHash)) return app.passwords.hash(normalPassword(body.password))
      return undefined
    }
  },
})
