import {
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
import type { DB } from './db/types.ts'

export const AccountsConfig = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
  /** How long after its end a month is billed: as long as the stream may still bring an event of it. */
  ACCOUNTS_MONTH_GRACE_MS: number(72 * 3_600_000),
  /** Of the payment provider's webhooks (Standard Webhooks, `whsec_…`), and the one before while it changes; unset: none are taken. */
  ACCOUNTS_PAYMENT_SECRET: secret(16).optional(),
  ACCOUNTS_PAYMENT_SECRET_PREVIOUS: secret(16).optional(),
})
export type AccountsConfig = z.infer<typeof AccountsConfig>

export interface App {
  config: AccountsConfig
  keys: SealingKeys
  database: ServiceDatabase<DB>
  now(): Date
}

export async function openApp({ config, database, now }: OpenContext<DB, AccountsConfig>): Promise<App> {
  return {
    config,
    keys: openSealingKeys(config.PARLEY_SECRET_KEY, config.PARLEY_SECRET_KEY_PREVIOUS),
    database,
    now,
  }
}

export const { on, job, route } = kit<App, DB>()
