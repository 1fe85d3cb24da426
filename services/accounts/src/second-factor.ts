import { AppError, type Tx } from '@parley/runtime'
import type { App } from './app.ts'
import { countTry, returnTry } from './attempts.ts'
import { takeRecoveryCode } from './db/recovery-codes.ts'
import { openTotp } from './db/sealed-totp.ts'
import type { Subject } from './db/sign-in-attempts.ts'
import type { DB } from './db/types.ts'
import { takeTotpStep, type User } from './db/users.ts'
import { isShownCode, matchStep } from './totp.ts'

export const hasSecondFactor = (user: User): boolean => user.totpConfirmedAt !== null

/** Uses up a code of the authenticator app or a recovery code; undefined when it is neither. Of two who send one code, one succeeds. */
export async function takeSecondFactor(
  app: App,
  tx: Tx<DB>,
  user: User,
  code: string,
): Promise<'totp' | 'recovery_code' | undefined> {
  const now = app.now()
  if (!/^\d{6}$/.test(code)) return (await takeRecoveryCode(tx, user.userId, code, now)) ? 'recovery_code' : undefined
  if (user.sealedTotp === null) return undefined
  const lastStep = user.totpLastStep === null ? null : Number(user.totpLastStep)
  const step = matchStep(openTotp(app.keys, user.userId, user.sealedTotp), code, now, lastStep)
  return step !== undefined && (await takeTotpStep(tx, user.userId, step)) ? 'totp' : undefined
}

/**
 * Counts a try of a code before its outcome is known; throws AppError `too_many_requests`. A code that their app really showed is given
 * back at once: who typed too slowly, or sent one twice, was not guessing.
 */
export async function countCodeTry(app: App, subjects: readonly Subject[], user: User, code: string): Promise<void> {
  await countTry(app, subjects)
  if (isFromTheirApp(app, user, code)) await returnTry(app, subjects)
}

export const isFromTheirApp = (app: App, { userId, sealedTotp }: User, code: string): boolean =>
  sealedTotp !== null && isShownCode(openTotp(app.keys, userId, sealedTotp), code, app.now())

/** Said only to who knows the password or holds the link. */
export const secondFactorRequired = (): AppError =>
  new AppError('unauthenticated', 'Send the code of your authenticator app, or a recovery code, as well.', {
    details: { reason: 'second_factor_required', methods: ['totp', 'recovery_code'] },
  })

export const secondFactorWrong = (): AppError =>
  new AppError('unauthenticated', 'The code is wrong, or was used before.', { details: { reason: 'second_factor_wrong' } })
