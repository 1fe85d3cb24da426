import type { CommitTools, Tx } from '@parley/runtime'
import type { App } from './app.ts'
import { newCode, plainCode } from './copied-codes.ts'
import { queueMail } from './db/mails.ts'
import { insertOneTimeToken } from './db/one-time-tokens.ts'
import type { SignUpDetails, TokenPurpose } from './db/people-types.ts'
import type { DB } from './db/types.ts'
import {
  emailChangeMail,
  languageOf,
  magicLinkMail,
  passwordResetMail,
  type SecurityChange,
  securityMail,
  signUpMail,
} from './rules/mail-texts.ts'
import { hashToken, keyedHash, newToken } from './tokens.ts'

/**
 * What each link does, where it leads in the console, and how long it is good. What stands for somebody signing in lives ten minutes at most
 * (ASVS 5.0, 6.5.5); the other two only prove an address, one beside the password, one without opening anything, and may wait for
 * a mail server that lets strangers wait.
 */
const links = {
  sign_up: { path: '/verify-email', minutes: 60, write: signUpMail },
  magic_link: { path: '/sign-in', minutes: 10, write: magicLinkMail },
  password_reset: { path: '/reset-password', minutes: 10, write: passwordResetMail },
  email_change: { path: '/confirm-email', minutes: 60, write: emailChangeMail },
} as const satisfies Record<TokenPurpose, unknown>

export interface LinkRequest {
  purpose: TokenPurpose
  userId: string | null
  to: string
  locale: string | null
  details?: SignUpDetails
  /** Only who asked, and holds the secret of this hash, may use it. */
  requestHash?: Buffer
}

/**
 * Mails a link that is good once. The token stands behind the `#`: browsers send that part to nobody, so it is in no log of ours or of
 * a proxy, and in no Referer.
 */
export async function sendLink(app: App, tx: Tx<DB>, tools: CommitTools, request: LinkRequest): Promise<void> {
  const { purpose, userId, to, locale, details, requestHash } = request
  const { path, minutes, write } = links[purpose]
  const now = app.now()
  const expiresAt = new Date(now.getTime() + minutes * 60_000)
  const [token, code] = [newToken(), newCode(mailCodeLetters)]
  await insertOneTimeToken(tx, {
    tokenHash: hashToken(token),
    purpose,
    userId,
    email: to,
    ...(details === undefined ? {} : { details }),
    ...(requestHash === undefined ? {} : { bound: { requestHash, codeHash: hashMailCode(app, requestHash, code) } }),
    createdAt: now,
    expiresAt,
  })
  const { subject, text } = write(languageOf(locale), {
    url: `${app.config.ACCOUNTS_PUBLIC_URL}${path}#token=${token}`,
    // What is typed where the mail is read on another device: the short code where the asker's secret stands beside it, else the token.
    code: requestHash === undefined ? token : code,
    minutes,
  })
  await queueMail(tx, tools, { keys: app.keys, to, kind: purpose, subject, text, sendBefore: expiresAt })
}

/** 40 bits: guessed at most some twenty times in ten minutes, by who holds the secret of the request too. */
const mailCodeLetters = 8

/** Keyed and bound to its request: short as it is, a stolen table must not give it away. */
export const hashMailCode = ({ keys }: App, requestHash: Buffer, code: string): string =>
  keyedHash(keys.current, 'parley mail code', requestHash.toString('base64url'), plainCode(code))

/** Tells somebody that something about signing in changed, so that a thief cannot change it unseen. */
export async function tellSecurityChange(
  app: App,
  tx: Tx<DB>,
  tools: CommitTools,
  person: { email: string; locale: string | null },
  change: SecurityChange,
): Promise<void> {
  const { subject, text } = securityMail(languageOf(person.locale), change, `${app.config.ACCOUNTS_PUBLIC_URL}/reset-password`)
  await queueMail(tx, tools, { keys: app.keys, to: person.email, kind: change, subject, text })
}
