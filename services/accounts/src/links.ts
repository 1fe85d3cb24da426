import type { CommitTools, Tx } from '@parley/runtime'
import type { App } from './app.ts'
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
import { hashToken, newToken } from './tokens.ts'

/** What each link does, where it leads in the console, and how long it is good: ASVS 5.0 wants them short. */
const links = {
  sign_up: { path: '/verify-email', minutes: 60, write: signUpMail },
  magic_link: { path: '/sign-in', minutes: 15, write: magicLinkMail },
  password_reset: { path: '/reset-password', minutes: 30, write: passwordResetMail },
  email_change: { path: '/confirm-email', minutes: 60, write: emailChangeMail },
} as const satisfies Record<TokenPurpose, unknown>

export interface LinkRequest {
  purpose: TokenPurpose
  userId: string | null
  to: string
  locale: string | null
  details?: SignUpDetails
}

/**
 * Mails a link that is good once. The token stands behind the `#`: browsers send that part to nobody, so it is in no log of ours or of
 * a proxy, and in no Referer.
 */
export async function sendLink(app: App, tx: Tx<DB>, tools: CommitTools, request: LinkRequest): Promise<void> {
  const { purpose, userId, to, locale, details } = request
  const { path, minutes, write } = links[purpose]
  const now = app.now()
  const expiresAt = new Date(now.getTime() + minutes * 60_000)
  const token = newToken()
  await insertOneTimeToken(tx, {
    tokenHash: hashToken(token),
    purpose,
    userId,
    email: to,
    ...(details === undefined ? {} : { details }),
    createdAt: now,
    expiresAt,
  })
  const { subject, text } = write(languageOf(locale), {
    url: `${app.config.ACCOUNTS_PUBLIC_URL}${path}#token=${token}`,
    token,
    minutes,
  })
  await queueMail(tx, tools, { keys: app.keys, to, kind: purpose, subject, text, sendBefore: expiresAt })
}

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
