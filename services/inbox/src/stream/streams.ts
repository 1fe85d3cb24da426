import { AppError, type Logger, type ServiceDatabase } from '@parley/runtime'
import { endOfOutbox, readEventsAfter } from '../db/outbox.ts'
import type { DB } from '../db/types.ts'
import { Feed, type From, type Listener } from './feed.ts'

/** Open streams of one organization on one replica. */
export const maxStreamsPerOrganization = 50
const pollMs = 1_000

export interface Streams {
  /** Listens to an organization's events. Throws AppError too_many_requests at the limit; the returned function ends it. */
  subscribe(organizationId: string, from: From, listener: Listener): Promise<() => void>
  close(): void
}

/** One feed per organization that somebody listens to; nothing runs while nobody does. */
export function createStreams({ database, log }: { database: ServiceDatabase<DB>; log: Logger }): Streams {
  const feeds = new Map<string, { feed: Feed; users: number }>()
  let stop: (() => void) | undefined

  function wakeAll(): void {
    for (const { feed } of feeds.values()) {
      feed.wake().catch((error: unknown) => log.error({ err: error }, 'a live stream could not be fed'))
    }
  }

  function start(): void {
    const unsubscribe = database.onCommit(wakeAll)
    const timer = setInterval(wakeAll, pollMs)
    timer.unref()
    stop = () => {
      unsubscribe()
      clearInterval(timer)
    }
  }

  function join(organizationId: string): { feed: Feed; users: number } {
    const known = feeds.get(organizationId)
    if (known && known.users >= maxStreamsPerOrganization) {
      throw new AppError('too_many_requests', `At most ${maxStreamsPerOrganization} live streams may be open.`)
    }
    const entry = known ?? { feed: feedOf(organizationId), users: 0 }
    entry.users++
    feeds.set(organizationId, entry)
    if (!stop) start()
    return entry
  }

  const feedOf = (organizationId: string) =>
    new Feed({
      end: () => database.read(organizationId, endOfOutbox),
      after: (cursor, limit) => database.read(organizationId, (tx) => readEventsAfter(tx, organizationId, cursor, limit)),
    })

  function leave(organizationId: string, entry: { users: number }): void {
    entry.users--
    if (entry.users > 0) return
    feeds.delete(organizationId)
    if (feeds.size > 0) return
    stop?.()
    stop = undefined
  }

  return {
    async subscribe(organizationId, from, listener) {
      const entry = join(organizationId)
      try {
        const end = await entry.feed.subscribe(from, listener)
        let ended = false
        return () => {
          if (ended) return
          ended = true
          end()
          leave(organizationId, entry)
        }
      } catch (error) {
        leave(organizationId, entry)
        throw error
      }
    },
    close() {
      stop?.()
      stop = undefined
      feeds.clear()
    },
  }
}
