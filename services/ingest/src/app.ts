import { installationId } from '@parley/contracts'
import {
  type Batcher,
  createBatcher,
  kit,
  number,
  type OpenContext,
  openSealingKeys,
  type SealingKeys,
  sealingKey,
  type ServiceDatabase,
} from '@parley/runtime'
import { z } from 'zod'
import type { DB } from './db/types.ts'
import { forgetReceiptsRef } from './db/upkeep.ts'
import { type Allowance, createAllowance } from './door/allowance.ts'
import { createSourceCache, type SourceCache } from './door/source-cache.ts'
import { largestBatch, storeBatch } from './door/store-batch.ts'
import type { PutObject } from './recordings.ts'
import type { Delivery, Stored } from './store-deliveries.ts'

export const IngestConfig = z.object({
  PARLEY_SECRET_KEY: sealingKey(),
  PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
  /** Receipts and the bytes of their webhooks are removed after this many days: for longer than the outboxes keep what came of them. */
  INGEST_RECEIPT_DAYS: number(90, { min: 8, max: 3_650 }),
  /** What one source, and one organization over all of its sources, may send in a minute: the stream is everybody's. */
  INGEST_SOURCE_MESSAGES_PER_MINUTE: number(6_000, { min: 1 }),
  INGEST_SOURCE_BYTES_PER_MINUTE: number(64 * 1024 * 1024, { min: 1 }),
  INGEST_ORGANIZATION_MESSAGES_PER_MINUTE: number(12_000, { min: 1 }),
  INGEST_ORGANIZATION_BYTES_PER_MINUTE: number(128 * 1024 * 1024, { min: 1 }),
})
export type IngestConfig = z.infer<typeof IngestConfig>

/** Providers have hung up by then (Shopify after 5 s): what is refused they send again, what waits on takes memory for nobody. */
const longestWaitMs = 9_000

export interface App {
  config: IngestConfig
  keys: SealingKeys
  database: ServiceDatabase<DB>
  sources: SourceCache
  /** Deliveries that arrive together share a commit. */
  deliveries: Batcher<Delivery, Stored>
  allowances: { source: Allowance; organization: Allowance }
  /** Object storage, when the operator has set one up. */
  putObject: PutObject | undefined
  eraseEvents: OpenContext<DB, IngestConfig>['eraseEvents']
  now(): Date
}

export async function openApp(context: OpenContext<DB, IngestConfig>): Promise<App> {
  const { config, database, now, objects } = context
  const keys = openSealingKeys(config.PARLEY_SECRET_KEY, config.PARLEY_SECRET_KEY_PREVIOUS)
  await database.commit({ organizationId: installationId }, async (_tx, { later }) => {
    later(forgetReceiptsRef, { after: null }, { key: 'installation' })
  })
  return {
    config,
    keys,
    database,
    sources: createSourceCache({ database, keys, now, log: context.log }),
    // Three commits under way keep Postgres's log busy; more would only make the groups smaller.
    deliveries: createBatcher({
      maxItems: largestBatch,
      maxConcurrent: 3,
      patienceMs: longestWaitMs,
      run: (items) => storeBatch(database, items),
    }),
    allowances: {
      source: createAllowance({
        messages: config.INGEST_SOURCE_MESSAGES_PER_MINUTE,
        bytes: config.INGEST_SOURCE_BYTES_PER_MINUTE,
      }),
      organization: createAllowance({
        messages: config.INGEST_ORGANIZATION_MESSAGES_PER_MINUTE,
        bytes: config.INGEST_ORGANIZATION_BYTES_PER_MINUTE,
      }),
    },
    putObject: objects && (async ({ key, bytes, mimeType }) => void (await objects.put(key, bytes, { contentType: mimeType }))),
    eraseEvents: context.eraseEvents,
    now,
  }
}

export const { on, job, route } = kit<App, DB>()
