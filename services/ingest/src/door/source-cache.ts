import type { ProviderName } from '@parley/contracts'
import type { WebhookSecrets } from '@parley/providers/webhook'
import { describe, type Logger, type SealingKeys, type ServiceDatabase } from '@parley/runtime'
import { findSourceByToken, openSourceSecrets } from '../db/sources.ts'
import type { DB } from '../db/types.ts'
import { readToken } from '../token.ts'

/** A webhook source ready for use: its secrets are open. */
export interface KnownSource {
  organizationId: string
  id: string
  provider: ProviderName
  secrets: WebhookSecrets
  /** When a delivery was last noted in its row; it is noted again a minute later. */
  touchedAtMs: number
}

export interface SourceCache {
  /** The active source of a path token; undefined when there is none. */
  find(token: string): Promise<KnownSource | undefined>
  /** Forgets all it knows, so that a change made by this replica holds at once. */
  clear(): void
}

interface Entry {
  source: KnownSource | undefined
  loadedAtMs: number
}

/** A change made by another replica holds everywhere after this time, and a wrong token costs one query in it. */
const expireAfterMs = 2_000
/** From this age on an entry is renewed while it is still used, so that a busy source never waits for its renewal. */
const refreshAfterMs = 1_000
const mostEntries = 50_000

/**
 * Looks sources up by token, remembering them for two seconds. Known and unknown tokens are kept apart: a flood of guesses
 * cannot push real sources out.
 */
export function createSourceCache(options: {
  database: Pick<ServiceDatabase<DB>, 'read'>
  keys: SealingKeys
  now: () => Date
  log: Logger
  clock?: () => number
}): SourceCache {
  const { database, keys, now, log, clock = () => performance.now() } = options
  const known = new Map<string, Entry>()
  const unknown = new Map<string, Entry>()
  /** Requests for one token that come together share a look-up. */
  const loading = new Map<string, Promise<Entry>>()

  async function load(name: string, organizationId: string, hash: Buffer): Promise<Entry> {
    // Taken before the query: what it reads may be older than its answer, never younger.
    const loadedAtMs = clock()
    const row = await database.read(organizationId, (tx) => findSourceByToken(tx, organizationId, hash))
    if (row === undefined) return { source: undefined, loadedAtMs }
    const before = known.get(name)?.source
    const touchedAtMs = Math.max(row.lastReceivedAt?.getTime() ?? 0, before?.id === row.id ? before.touchedAtMs : 0)
    const secrets = openSourceSecrets(keys, row, now())
    return { source: { organizationId, id: row.id, provider: row.provider, secrets, touchedAtMs }, loadedAtMs }
  }

  function renew(name: string, organizationId: string, hash: Buffer): Promise<Entry> {
    const underWay = loading.get(name)
    if (underWay) return underWay
    const renewed = load(name, organizationId, hash)
      .then((entry) => {
        // A look-up that began before `clear` may have read what has been changed since.
        if (loading.get(name) !== renewed) return entry
        known.delete(name)
        unknown.delete(name)
        keep(entry.source === undefined ? unknown : known, name, entry)
        return entry
      })
      .finally(() => {
        if (loading.get(name) === renewed) loading.delete(name)
      })
    loading.set(name, renewed)
    return renewed
  }

  return {
    async find(token) {
      const read = readToken(token)
      if (read === undefined) return undefined
      const name = read.hash.toString('base64url')
      const entry = known.get(name) ?? unknown.get(name)
      const ageMs = entry ? clock() - entry.loadedAtMs : Number.POSITIVE_INFINITY
      if (entry === undefined || ageMs >= expireAfterMs) return (await renew(name, read.organizationId, read.hash)).source
      if (entry.source && ageMs > refreshAfterMs) {
        // Nobody waits for this one; if the database is away, the request after the expiry meets that itself.
        renew(name, read.organizationId, read.hash).catch((error: unknown) =>
          log.debug({ err: describe(error) }, 'a webhook source could not be renewed ahead of time'),
        )
      }
      return entry.source
    },
    clear() {
      known.clear()
      unknown.clear()
      loading.clear()
    },
  }
}

function keep(entries: Map<string, Entry>, name: string, entry: Entry): void {
  const oldest = entries.keys().next()
  if (entries.size >= mostEntries && !oldest.done) entries.delete(oldest.value)
  entries.set(name, entry)
}
