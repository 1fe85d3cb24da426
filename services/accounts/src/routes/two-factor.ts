import { installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { type App, route } from '../app.ts'
import { commitForAll, type RouteCall } from '../as-installation.ts'
import { codeSubject, forgiveTry } from '../attempts.ts'
import { CodeInput, PasswordInput, proveAgain } from '../credentials.ts'
import { countRecoveryCodes, deleteRecoveryCodes, replaceRecoveryCodes } from '../db/recovery-codes.ts'
import { openTotp, sealTotp } from '../db/sealed-totp.ts'
import { endSessions, forgetSecondFactor, noteSecondFactor } from '../db/sessions.ts'
import { findUser, lockUser, updateUser, type User } from '../db/users.ts'
import { tellSecurityChange } from '../links.ts'
import { personOf } from '../manager.ts'
import { replaceSession, Tokens, tokensOf } from '../open-session.ts'
import { countCodeTry, hasSecondFactor, takeSecondFactor } from '../second-factor.ts'
import { secureAccount, spendPending } from '../steps/secure-account.ts'
import { base32, matchStep, otpauthUri } from '../totp.ts'

const RecoveryCodes = z.object({
  /** Each signs in once when the authenticator app is lost. Shown now and never again. */
  recoveryCodes: z.array(z.string()),
})
const proof = { password: PasswordInput.optional(), code: CodeInput }

const alreadyOn = () => new AppError('conflict', 'Two-factor sign-in is on already.')
const notOn = () => new AppError('conflict', 'Two-factor sign-in is not on.')
const wrongCode = () => new AppError('forbidden', 'The code is wrong, or was used before.', { details: { reason: 'code_wrong' } })

async function requireUser(app: App, userId: string): Promise<User> {
  const user = await app.database.read(installationId, (tx) => findUser(tx, userId))
  if (user === undefined) throw new AppError('not_found', 'There is no such person.')
  return user
}

export const getTwoFactor = route({
  method: 'GET',
  path: '/v1/me/two-factor',
  summary: 'Whether a second factor is on, and how many recovery codes are left.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.' },
  reply: z.object({ enabled: z.boolean(), recoveryCodesLeft: z.int() }),
  async run({ caller, app, read }) {
    const userId = personOf(caller)
    const user = await requireUser(app, userId)
    return { enabled: hasSecondFactor(user), recoveryCodesLeft: await read((tx) => countRecoveryCodes(tx, userId)) }
  },
})

export const beginTwoFactor = route({
  method: 'POST',
  path: '/v1/me/two-factor',
  summary: 'Begin two-factor sign-in: a secret for the authenticator app, on once a code of it is confirmed.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.', conflict: 'Two-factor sign-in is on already.' },
  body: z.strictObject({ password: PasswordInput.optional() }),
  reply: z.object({ secret: z.string(), uri: z.string() }),
  async run({ body, caller, app, commit }) {
    const user = await requireUser(app, personOf(caller))
    if (hasSecondFactor(user)) throw alreadyOn()
    await proveAgain(app, caller, user, body.password)
    const secret = randomBytes(20)
    await commit(async (tx, { audit }) => {
      const locked = await lockUser(tx, user.userId)
      if (locked === undefined || hasSecondFactor(locked)) throw alreadyOn()
      await updateUser(tx, user.userId, { sealedTotp: sealTotp(app.keys, user.userId, secret), totpLastStep: null })
      audit({ resourceType: 'two_factor', resourceId: user.userId, before: null, after: { state: 'begun' } })
    })
    return { secret: base32(secret), uri: otpauthUri(secret, user.email, 'Parley') }
  },
})

export const confirmTwoFactor = route({
  method: 'POST',
  path: '/v1/me/two-factor/confirm',
  summary:
    'Turn two-factor sign-in on with a code of the authenticator app; answers with the recovery codes. Your other sessions end.',
  scope: 'self',
  refuses: {
    not_found: 'There is no such person.',
    conflict: ['Begin two-factor sign-in first.', 'Two-factor sign-in is on already.'],
  },
  body: z.strictObject({ code: CodeInput }),
  reply: RecoveryCodes,
  async run({ body, commit, ...call }) {
    const { app, caller } = call
    const userId = personOf(caller)
    const subjects = [codeSubject(app, userId)]
    await countCodeTry(app, subjects, await requireUser(app, userId), body.code)
    const recoveryCodes = await commit(async (tx, tools) => {
      const user = await lockUser(tx, userId)
      if (user === undefined || user.sealedTotp === null) throw new AppError('conflict', 'Begin two-factor sign-in first.')
      if (hasSecondFactor(user)) throw alreadyOn()
      const step = matchStep(openTotp(app.keys, userId, user.sealedTotp), body.code, app.now(), null)
      if (step === undefined) throw wrongCode()
      await updateUser(tx, userId, { totpConfirmedAt: app.now(), totpLastStep: step })
      // The next access token of this very session says so: nobody has to sign in anew for what they have just proved.
      if (caller.sessionId !== null) await noteSecondFactor(tx, userId, caller.sessionId)
      await tellSecurityChange(app, tx, tools, user, 'two_factor_on')
      tools.audit({ resourceType: 'two_factor', resourceId: userId, before: { state: 'off' }, after: { state: 'on' } })
      return replaceRecoveryCodes(tx, userId)
    })
    await forgiveTry(app, subjects)
    // Whoever sits in a session of before knows a password at the most: it must prove the second factor as well.
    await commitForAll(call, { action: 'POST /v1/me/two-factor/confirm' }, (tx, tools) =>
      secureAccount(tx, tools, userId, { except: caller.sessionId, reason: 'two_factor_on', at: app.now() }),
    )
    return { recoveryCodes }
  },
})

export const disableTwoFactor = route({
  method: 'POST',
  path: '/v1/me/two-factor/disable',
  summary:
    'Turn two-factor sign-in off: with the password and a code. Sessions that were opened with it end; this one goes on as a new one.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.', conflict: 'Two-factor sign-in is not on.' },
  body: z.strictObject(proof),
  reply: z.object({
    enabled: z.literal(false),
    session: Tokens.nullable().describe('In the place of this session; null for who is signed in at another issuer.'),
  }),
  async run({ body, commit, ...call }) {
    const { app, caller } = call
    const user = await requireUser(app, personOf(caller))
    if (!hasSecondFactor(user)) throw notOn()
    await proveAgain(app, caller, user, body.password)
    const subjects = [codeSubject(app, user.userId)]
    await countCodeTry(app, subjects, user, body.code)
    const opened = await commit(async (tx, tools) => {
      const locked = await requireCode(app, tx, user.userId, body.code)
      await updateUser(tx, user.userId, { sealedTotp: null, totpConfirmedAt: null, totpLastStep: null })
      await deleteRecoveryCodes(tx, user.userId)
      const those = await forgetSecondFactor(tx, user.userId)
      await tellSecurityChange(app, tx, tools, locked, 'two_factor_off')
      tools.audit({ resourceType: 'two_factor', resourceId: user.userId, before: { state: 'on' }, after: { state: 'off' } })
      return those
    })
    await forgiveTry(app, subjects)
    const replacement = await endProvedSessions(call, user.userId, opened)
    const session = replacement === undefined ? null : await tokensOf(app, replacement.session, replacement.refreshToken)
    return { enabled: false as const, session }
  },
})

/**
 * Their access tokens still say that there was a second factor, for up to ten minutes: so those sessions end, and this one, which has just
 * proved everything there is, goes on under new tokens. In a commit of the installation, after the one that the organization's audit log
 * has: should the process die in between, the old tokens run out by themselves and no session renews them as they were.
 */
async function endProvedSessions({ app, caller, from, requestId }: RouteCall, userId: string, opened: readonly string[]) {
  const action = 'POST /v1/me/two-factor/disable'
  return commitForAll({ app, caller, from, requestId }, { action }, async (tx, tools) => {
    const { sessionId } = caller
    const others = opened.filter((id) => id !== sessionId)
    const end = { reason: 'two_factor_off', at: app.now() } as const
    await spendPending(tx, userId, end.at)
    const ended = others.length === 0 ? [] : await endSessions(tx, tools, userId, { among: others }, end)
    for (const id of ended)
      tools.audit({ resourceType: 'session', resourceId: id, before: { endReason: null }, after: { endReason: end.reason } })
    if (sessionId === null) return undefined
    return replaceSession(app, tx, tools, { sessionId, userId }, { secondFactor: false, from })
  })
}

export const renewRecoveryCodes = route({
  method: 'POST',
  path: '/v1/me/two-factor/recovery-codes',
  summary: 'Ten new recovery codes; those before are no good any more.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.', conflict: 'Two-factor sign-in is not on.' },
  body: z.strictObject(proof),
  reply: RecoveryCodes,
  async run({ body, caller, app, commit }) {
    const user = await requireUser(app, personOf(caller))
    if (!hasSecondFactor(user)) throw notOn()
    await proveAgain(app, caller, user, body.password)
    const subjects = [codeSubject(app, user.userId)]
    await countCodeTry(app, subjects, user, body.code)
    const recoveryCodes = await commit(async (tx, { audit }) => {
      await requireCode(app, tx, user.userId, body.code)
      audit({ resourceType: 'two_factor', resourceId: user.userId, before: null, after: { recoveryCodes: 'renewed' } })
      return replaceRecoveryCodes(tx, user.userId)
    })
    await forgiveTry(app, subjects)
    return { recoveryCodes }
  },
})

/** Uses up a code of a person whose second factor is on, and locks them. Throws AppError. */
async function requireCode(app: App, tx: Parameters<typeof lockUser>[0], userId: string, code: string): Promise<User> {
  const locked = await lockUser(tx, userId)
  if (locked === undefined || !hasSecondFactor(locked)) throw notOn()
  if (!(await takeSecondFactor(app, tx, locked, code))) throw wrongCode()
  return locked
}
