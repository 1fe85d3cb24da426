import { AppError, type Caller } from '@parley/runtime'
import { z } from 'zod'
import type { App } from './app.ts'
import { countTry, forgiveTry, personSubject } from './attempts.ts'
import { commonPasswords } from './common-password-list.ts'
import type { User } from './db/users.ts'
import { organizationsOf } from './organizations-of.ts'
import { tidyCode } from './rules/code.ts'
import { normalPassword, type PasswordOwner, refusePassword } from './rules/password.ts'

/** Any password that could be one: whether it may be chosen is another question. */
export const PasswordInput = z.string().min(1).max(512)

/** An opaque token of ours: 32 bytes in base64url. */
export const TokenInput = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'is not a token')

export const DeviceToken = TokenInput.optional().describe(
  'Of the sign-in before from this device: others’ wrong guesses then do not slow it down, and its session of before ends.',
)

/** Six digits of the authenticator app, or a recovery code, however it was written down. */
export const CodeInput = z.string().max(200).overwrite(tidyCode).min(6).max(40)

/** Throws AppError `invalid` with the reason why nobody should choose this password. */
export async function requireGoodPassword(app: App, password: string, person: PasswordOwner, field: string): Promise<void> {
  const problem = refusePassword(password, person, commonPasswords) ?? (await breachProblem(app, password))
  if (problem !== undefined) throw new AppError('invalid', `${field}: ${problem}`, { details: [{ field, problem }] })
}

async function breachProblem(app: App, password: string): Promise<string | undefined> {
  const isBreached = (await app.breaches?.isBreached(normalPassword(password))) === true
  return isBreached ? 'It was in a breach of another service, so it is tried everywhere.' : undefined
}

/** What is known of somebody who chooses a password. */
export async function passwordOwner(app: App, { userId, email, firstName, lastName, displayName }: User): Promise<PasswordOwner> {
  const organizations = (await organizationsOf(app.database, userId)).map(({ name }) => name)
  return { email, names: [firstName, lastName, displayName], organizations }
}

/** Somebody who signed in so recently needs no second proof where they have no password to give. */
const freshMs = 10 * 60_000

/**
 * A sign-in, or POST /v1/auth/reauthenticate, within ten minutes. Throws AppError `forbidden`: the client asks for the password, sends it there,
 * and calls again.
 */
export function requireRecentProof(app: App, caller: Caller): void {
  if (caller.authenticatedAt !== null && app.now().getTime() - caller.authenticatedAt <= freshMs) return
  throw new AppError('forbidden', 'Prove again who you are first.', { details: { reason: 'reauthentication_required' } })
}

/**
 * Proof that the person at the keyboard is the one who signed in, before something changes that could shut them out. The password, or for
 * who has none a sign-in within ten minutes.
 */
export async function proveAgain(app: App, caller: Caller, user: User, password: string | undefined): Promise<void> {
  if (user.passwordHash === null) {
    if (caller.authenticatedAt !== null && app.now().getTime() - caller.authenticatedAt <= freshMs) return
    throw new AppError('forbidden', 'Sign in again first.', { details: { reason: 'sign_in_again' } })
  }
  if (password === undefined) {
    throw new AppError('forbidden', 'Send your password as well.', { details: { reason: 'password_required' } })
  }
  const subjects = [personSubject(app, user.userId)]
  await countTry(app, subjects)
  if (!(await app.passwords.verify(normalPassword(password), user.passwordHash)))
    throw new AppError('forbidden', 'The password is wrong.', { details: { reason: 'password_wrong' } })
  await forgiveTry(app, subjects)
}
