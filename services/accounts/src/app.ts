import { kit, type OpenContext, openSealingKeys, type SealingKeys, sealingKey, type ServiceDatabase } from '@parley/runtime'
import { z } from 'zod'
import type { DB } from './db/types.ts'

export const AccountsConfig = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
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
