import { installationId } from '@parley/contracts'
import {
  flag,
  kit,
  number,
  type OpenContext,
  openSealingKeys,
  type SealingKeys,
  sealingKey,
  secret,
  type ServiceDatabase,
} from '@parley/runtime'
import { z } from 'zod'
import { originList } from './connection-origins.ts'
import { openTester, type Tester } from './connection-tests/test-connection.ts'
import { type AccessTokens, openAccessTokens } from './access-tokens.ts'
import { answerIdentity } from './answers.ts'
import { type BreachCheck, openBreachCheck } from './breached-passwords.ts'
import { resealTextsRef, sealedTables } from './db/sealed-texts.ts'
import { keepSigningKeys, rotateSigningKeysRef } from './db/signing-keys.ts'
import type { DB } from './db/types.ts'
import { forgetOldSignInsRef } from './db/upkeep.ts'
import { type Mailer, openMailer } from './mailer.ts'
import { openPasswords, type Passwords } from './passwords.ts'

export const AccountsConfig = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
  /** How long after its end a month is billed: as long as the stream may still bring an event of it. */
  ACCOUNTS_MONTH_GRACE_MS: number(72 * 3_600_000),
  /** Of the payment provider's webhooks (Standard Webhooks, `whsec_…`), and the one before while it changes; unset: none are taken. */
  ACCOUNTS_PAYMENT_SECRET: secret(16).optional(),
  ACCOUNTS_PAYMENT_SECRET_PREVIOUS: secret(16).optional(),
  /** `iss` of our access tokens. */
  ACCOUNTS_ISSUER: z.string().min(1).max(200).default('parley'),
  /** Where the pages are that links in mail lead to. */
  ACCOUNTS_PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .default('http://localhost:8080')
    .transform((url) => url.replace(/\/+$/, '')),
  /** `smtps://user:password@host:465` or `smtp://…:587`; unset, mail is only kept. */
  ACCOUNTS_SMTP_URL: secret().optional(),
  ACCOUNTS_MAIL_FROM: z.string().min(3).max(200).default('Parley <no-reply@localhost>'),
  /** Mail stays readable and operators can list it: for one's own machine only, because its links sign people in. */
  ACCOUNTS_DEV_MAIL: flag(false),
  /** A session ends after this many days, used or not; and after this many without use. */
  ACCOUNTS_SESSION_DAYS: number(30, { min: 1, max: 365 }),
  ACCOUNTS_IDLE_DAYS: number(7, { min: 1, max: 365 }),
  /** The range search of Pwned Passwords or a copy of it, `https://api.pwnedpasswords.com/range`; unset, nobody is asked. */
  ACCOUNTS_BREACHED_PASSWORDS_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Records of who read personal data are dropped, month by month, after this many days. */
  ACCOUNTS_READS_DAYS: number(365, { min: 30, max: 3_650 }),
  /** Addresses, not public ones, that connections may name: simulators, servers of one's own. `https://ai.internal,smtp://mail.internal:587` */
  ACCOUNTS_CONNECTION_ORIGINS: originList,
  /** Where providers reach our webhooks; unset: at ACCOUNTS_PUBLIC_URL. */
  ACCOUNTS_WEBHOOK_URL: z.url({ protocol: /^https?$/ }).optional(),
})
export type AccountsConfig = z.infer<typeof AccountsConfig>

export interface App {
  config: AccountsConfig
  keys: SealingKeys
  database: ServiceDatabase<DB>
  passwords: Passwords
  /** Undefined when the operator has named no service that knows passwords of breaches. */
  breaches: BreachCheck | undefined
  accessTokens: AccessTokens
  /** Undefined when the operator has set up no mail server. */
  mailer: Mailer | undefined
  /** Tries credentials of outside systems. */
  tester: Tester
  /** What the addresses of webhooks begin with. */
  webhookOrigin: string
  now(): Date
}

export async function openApp({
  config,
  database,
  now,
  answer,
  proveOutside,
  log,
}: OpenContext<DB, AccountsConfig>): Promise<App> {
  const keys = openSealingKeys(config.PARLEY_SECRET_KEY, config.PARLEY_SECRET_KEY_PREVIOUS)
  await database.commit({ organizationId: installationId }, async (tx, tools) => {
    await keepSigningKeys(tx, tools, keys, now())
    tools.later(rotateSigningKeysRef, {}, { key: 'installation' })
    for (const table of sealedTables) tools.later(resealTextsRef, { table, after: null })
    tools.later(forgetOldSignInsRef, {}, { key: 'installation' })
  })
  answerIdentity({ answer, database, proveOutside, now })
  const breachedPasswordsUrl = config.ACCOUNTS_BREACHED_PASSWORDS_URL
  return {
    config,
    keys,
    database,
    passwords: openPasswords(),
    breaches: breachedPasswordsUrl === undefined ? undefined : openBreachCheck(breachedPasswordsUrl, log),
    accessTokens: openAccessTokens({ database, keys, issuer: config.ACCOUNTS_ISSUER, now }),
    mailer: config.ACCOUNTS_SMTP_URL && openMailer(config.ACCOUNTS_SMTP_URL.reveal()),
    tester: openTester(config.ACCOUNTS_CONNECTION_ORIGINS, now),
    webhookOrigin: (config.ACCOUNTS_WEBHOOK_URL ?? config.ACCOUNTS_PUBLIC_URL).replace(/\/+$/, ''),
    now,
  }
}

export const { on, job, route } = kit<App, DB>()
