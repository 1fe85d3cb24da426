import { installationId } from '@parley/contracts'
import { AppError } from '@parley/runtime'
import type { App } from './app.ts'
import { forgetAttempts, returnAttempt, type Subject, takeAttempt } from './db/sign-in-attempts.ts'
import { networkOf } from './rules/sign-in-attempts.ts'
import { keyedHash } from './tokens.ts'

/** Addresses are kept as keyed hashes: the table of tries names mostly people who never were here. */
const subjectOf = (app: App, kind: string, value: string) =>
  `${kind}:${keyedHash(app.keys.current, 'parley attempt', kind, value)}`

export const accountSubject = (app: App, email: string): Subject => ({
  pace: 'account',
  subject: subjectOf(app, 'account', email.toLowerCase()),
})
export const deviceSubject = (app: App, tokenHash: Buffer): Subject => ({
  pace: 'device',
  subject: subjectOf(app, 'device', tokenHash.toString('hex')),
})
export const addressSubject = (app: App, ip: string): Subject => ({
  pace: 'address',
  subject: subjectOf(app, 'address', networkOf(ip)),
})
/** Somebody who is signed in and must prove it again: a stolen access token is no place to guess passwords from. */
export const personSubject = (app: App, userId: string): Subject => ({
  pace: 'account',
  subject: subjectOf(app, 'person', userId),
})
/** Their codes, counted apart from their password: it is right before a code is looked at, and being right forgets the tries before. */
export const codeSubject = (app: App, userId: string): Subject => ({
  pace: 'account',
  subject: subjectOf(app, 'person-code', userId),
})
export const mailSubject = (app: App, kind: string, email: string): Subject => ({
  pace: 'mail',
  subject: subjectOf(app, `mail-${kind}`, email.toLowerCase()),
})

/** Counts a try before its outcome is known, unless one of the subjects must wait: resolves with how long then. */
export const takeTry = (app: App, subjects: readonly Subject[]): Promise<{ waitMs: number } | undefined> =>
  app.database.commit({ organizationId: installationId }, (tx) => takeAttempt(tx, subjects, app.now()))

/** As `takeTry`. Throws AppError `too_many_requests` when one of the subjects must wait. */
export async function countTry(app: App, subjects: readonly Subject[]): Promise<void> {
  const refused = await takeTry(app, subjects)
  if (refused === undefined) return
  throw new AppError('too_many_requests', 'Too many tries. Wait a little, or ask for a link by e-mail.', {
    details: { retryAfterMs: refused.waitMs },
  })
}

/** Rows of several subjects are touched in one order everywhere, so that no two calls wait for each other. */
const inOrder = (subjects: readonly Subject[]) => subjects.toSorted((a, b) => (a.subject < b.subject ? -1 : 1))

/**
 * The try turned out right: who it was begins anew. The address gets back this one try and no more: who guesses others' passwords must not
 * begin anew by signing in as themselves in between.
 */
export async function forgiveTry(app: App, subjects: readonly Subject[]): Promise<void> {
  await app.database.commit({ organizationId: installationId }, async (tx) => {
    for (const { subject, pace } of inOrder(subjects)) await (pace === 'address' ? returnAttempt : forgetAttempts)(tx, subject)
  })
}

/** The try was neither right nor wrong yet: everybody gets this one back, and nobody begins anew. */
export async function returnTry(app: App, subjects: readonly Subject[]): Promise<void> {
  await app.database.commit({ organizationId: installationId }, async (tx) => {
    for (const { subject } of inOrder(subjects)) await returnAttempt(tx, subject)
  })
}
