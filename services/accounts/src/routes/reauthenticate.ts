import { installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { commitForAll } from '../as-installation.ts'
import { codeSubject, forgiveTry } from '../attempts.ts'
import { CodeInput, PasswordInput, proveAgain } from '../credentials.ts'
import { findUser, lockUser } from '../db/users.ts'
import { personOf } from '../manager.ts'
import { replaceSession, Tokens, tokensOf } from '../open-session.ts'
import { countCodeTry, hasSecondFactor, takeSecondFactor } from '../second-factor.ts'
import { over, sessionOf } from './sessions.ts'

const refused = (message: string, reason: string) => new AppError('forbidden', message, { details: { reason } })

export const reauthenticate = route({
  method: 'POST',
  path: '/v1/auth/reauthenticate',
  summary:
    'Prove again who you are, with the password and a code where a second factor is on. This session ends and a new one goes on in its place.',
  scope: 'self',
  refuses: { not_found: 'There is no such person.' },
  body: z.strictObject({ password: PasswordInput.optional(), code: CodeInput.optional() }),
  reply: Tokens,
  async run({ body, ...call }) {
    const { app, caller, from } = call
    const userId = personOf(caller)
    const sessionId = sessionOf(caller)
    const user = await app.database.read(installationId, (tx) => findUser(tx, userId))
    if (user === undefined) throw new AppError('not_found', 'There is no such person.')
    const asksForCode = hasSecondFactor(user)
    // As strong as signing in. Who has no password proves the second factor; who has neither has only the mailbox, and that is a sign-in:
    // that the last one was a moment ago must not make itself younger.
    if (user.passwordHash !== null) await proveAgain(app, caller, user, body.password)
    else if (!asksForCode) throw refused('Sign in again first.', 'sign_in_again')
    if (asksForCode && body.code === undefined)
      throw refused('Send the code of your authenticator app, or a recovery code, as well.', 'code_required')
    const subjects = [codeSubject(app, userId)]
    if (asksForCode) await countCodeTry(app, subjects, user, body.code ?? '')
    const opened = await commitForAll(call, { action: 'POST /v1/auth/reauthenticate' }, async (tx, tools) => {
      const locked = await lockUser(tx, userId)
      if (locked === undefined || locked.status !== 'active' || locked.passwordHash !== user.passwordHash) throw over()
      if (hasSecondFactor(locked) && !(await takeSecondFactor(app, tx, locked, body.code ?? '')))
        throw refused('The code is wrong, or was used before.', 'code_wrong')
      return replaceSession(app, tx, tools, { sessionId, userId }, { secondFactor: hasSecondFactor(locked), from })
    })
    if (opened === undefined) throw over()
    if (asksForCode) await forgiveTry(app, subjects)
    return tokensOf(app, opened.session, opened.refreshToken)
  },
})
