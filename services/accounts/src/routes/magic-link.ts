import { EmailAddress, Id, installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { type App, route } from '../app.ts'
import { commitIn, memberActor, type RouteCall } from '../as-installation.ts'
import { accountSubject, addressSubject, countTry, forgiveTry } from '../attempts.ts'
import { CodeInput, DeviceToken, TokenInput } from '../credentials.ts'
import {
  findOneTimeToken,
  findRequestedToken,
  type OneTimeToken,
  spendOneTimeTokens,
  takeOneTimeToken,
} from '../db/one-time-tokens.ts'
import { findUser, lockUser, updateUser } from '../db/users.ts'
import { hashMailCode } from '../links.ts'
import { askForMail } from '../mail-request.ts'
import { chooseOrganization, endSessionBefore, openSession, SignedIn, signedIn } from '../open-session.ts'
import { countCodeTry, hasSecondFactor, secondFactorRequired, secondFactorWrong, takeSecondFactor } from '../second-factor.ts'
import { hashToken, newToken } from '../tokens.ts'

/** One text for every reason, the wrong browser among them: whoever found a link learns nothing of it. */
const linkIsOverText =
  'This link was used before, is too old, or was asked for elsewhere: type the code of the mail where you asked for it, or ask for a new link.'
const linkIsOver = () => new AppError('gone', linkIsOverText)

export const askMagicLink = route({
  method: 'POST',
  path: '/v1/auth/magic-link',
  summary: 'Ask for a link that signs in without a password. The answer is the same for every address.',
  scope: 'public',
  perMinute: 20,
  body: z.strictObject({ email: EmailAddress }),
  reply: z.object({
    message: z.string(),
    requestToken: z.string().describe('Keep it: the link of the mail, or its code, opens only together with it.'),
  }),
  status: 202,
  async run({ body, ...call }) {
    const requestToken = newToken()
    const requestHash = hashToken(requestToken)
    await askForMail(call, { kind: 'magic_link', email: body.email, requestHash, action: 'POST /v1/auth/magic-link' })
    return { message: 'If there is an account with this address, a link is on its way.', requestToken }
  },
})

export const redeemMagicLink = route({
  method: 'POST',
  path: '/v1/auth/magic-link/redeem',
  summary: 'Sign in with a link or with the code of its mail, where it was asked for, and a code where a second factor is on.',
  scope: 'public',
  refuses: {
    unauthenticated: [
      'Send the code of your authenticator app, or a recovery code, as well.',
      'The code is wrong, or was used before.',
    ],
    gone: linkIsOverText,
  },
  body: z.strictObject({
    requestToken: TokenInput.describe('Of the answer to the request for the link.'),
    token: TokenInput.optional().describe('Of the link, where it is followed in the browser that asked.'),
    mailCode: z.string().trim().min(8).max(20).optional().describe('Of the same mail, where it is read on another device.'),
    code: CodeInput.optional().describe('Of the authenticator app, or a recovery code.'),
    deviceToken: DeviceToken,
    organizationId: Id.optional(),
  }),
  reply: SignedIn,
  async run({ body, ...call }) {
    const { app, from } = call
    const action = 'POST /v1/auth/magic-link/redeem'
    const { userId, tokenHash } = await requireOwnLink(call, body)
    const user = userId === null ? undefined : await app.database.read(installationId, (tx) => findUser(tx, userId))
    if (user === undefined || user.status !== 'active') throw linkIsOver()
    const subjects = [accountSubject(app, `link ${user.userId}`), addressSubject(app, from.ip)]
    if (hasSecondFactor(user)) {
      // The link stays good: it is the code that is missing.
      if (body.code === undefined) throw secondFactorRequired()
      await countCodeTry(app, subjects, user, body.code)
    }
    const actingFor = await chooseOrganization(app, user, body.organizationId)
    const where = { organizationId: actingFor ?? installationId, action }
    const opened = await commitIn(call, { ...where, actor: memberActor(user.userId) }, async (tx, tools) => {
      const locked = await lockUser(tx, user.userId)
      if (locked === undefined || locked.status !== 'active') throw linkIsOver()
      if (hasSecondFactor(locked) && !(await takeSecondFactor(app, tx, locked, body.code ?? ''))) throw secondFactorWrong()
      if (!(await takeOneTimeToken(tx, 'magic_link', tokenHash, app.now()))) throw linkIsOver()
      await spendOneTimeTokens(tx, user.userId, ['magic_link'], app.now())
      if (locked.emailVerifiedAt === null) await updateUser(tx, user.userId, { emailVerifiedAt: app.now() })
      return openSession(app, tx, tools, {
        userId: user.userId,
        method: 'magic_link',
        secondFactor: hasSecondFactor(locked),
        actingFor,
        from,
        deviceToken: body.deviceToken,
      })
    })
    if (hasSecondFactor(user)) await forgiveTry(app, subjects)
    await endSessionBefore(call, action, opened)
    return signedIn(app, opened)
  },
})

/**
 * The link of this very request: who asked for it holds its secret, and whoever else comes by the mail has nothing (ASVS 5.0, 6.6.2). Throws
 * AppError.
 */
async function requireOwnLink(
  { app, from }: RouteCall,
  { requestToken, token, mailCode }: { requestToken: string; token?: string | undefined; mailCode?: string | undefined },
): Promise<OneTimeToken> {
  if ((token === undefined) === (mailCode === undefined))
    throw new AppError('invalid', 'Send the token of the link or the code of the mail.')
  const requestHash = hashToken(requestToken)
  if (token !== undefined) {
    const link = await read(app, (tx) => findOneTimeToken(tx, 'magic_link', hashToken(token), app.now()))
    if (link?.requestHash?.equals(requestHash) !== true) throw linkIsOver()
    return link
  }
  // The code is short, so its tries are counted, by request: whoever guesses has asked for the link and keeps nobody else out.
  const subjects = [accountSubject(app, `mail code ${requestHash.toString('base64url')}`), addressSubject(app, from.ip)]
  await countTry(app, subjects)
  const link = await read(app, (tx) => findRequestedToken(tx, 'magic_link', requestHash, app.now()))
  if (link === undefined || link.codeHash !== hashMailCode(app, requestHash, mailCode ?? '')) throw linkIsOver()
  await forgiveTry(app, subjects)
  return link
}

const read = <T>(app: App, work: Parameters<typeof app.database.read<T>>[1]): Promise<T> =>
  app.database.read(installationId, work)
