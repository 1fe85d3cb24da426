import { subjectOn } from '@parley/contracts'
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/transport-node'
import { z } from 'zod'
import type { Asks } from './bus-asks.ts'
import { ensureCountersStream } from './bus-counters.ts'
import { keeperTopic, pokeSubject, streamOf } from './bus-permissions.ts'
import type { Logger } from './log.ts'

export interface StreamSettings {
  root: string
  replicas: number
  maxBytes: number
}

/** Which stream a process has seen, and up to where. Less than that in the same stream means that acknowledged events are gone. */
export interface SeenStream {
  created: string
  sequence: number
}

/** The stored events of one type and key. */
interface StoredKey {
  lane: number
  type: string
  organizationId: string
  key: string
}

/** What may be done to the stream itself. */
export interface StreamUpkeep {
  /** Resolves with the moment of the stream's creation; makes it when it is missing, and anew when it has less than `had`. */
  ensure(had: SeenStream): Promise<string>
  /** Overwrites some of a key's events from a sequence on; `next` is where to go on, null when none is left. */
  erase(key: StoredKey, from: number): Promise<Erased>
  /** Makes the stream of the counters when it is missing. */
  ensureCounters(): Promise<void>
}

const Erased = z.object({ erased: z.int().min(0), next: z.int().min(1).nullable() })
type Erased = z.infer<typeof Erased>
const Made = z.object({ created: z.string().min(1) })

const maxAgeMs = 72 * 3600 * 1000
const duplicateWindowMs = 10 * 60 * 1000
/** So many take well under the time that an answer may take, fsync of each included. */
const erasedAtOnce = 100
const askTimeoutMs = 20_000

/** The creation time of the stream, and whether it is the one that was seen, whole; undefined when there is none. */
async function look(jsm: JetStreamManager, stream: string, had: SeenStream) {
  try {
    const { created, state } = await jsm.streams.info(stream)
    return { created, lastSequence: state.last_seq, whole: created !== had.created || state.last_seq >= had.sequence }
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined
    throw error
  }
}

/** For a login that may do everything: the keeper's, and that of a broker without logins. */
export function ownUpkeep(nc: NatsConnection, jsm: JetStreamManager, settings: StreamSettings, log: Logger): StreamUpkeep {
  const { root } = settings
  const stream = streamOf(root)
  return {
    async ensure(had) {
      const found = await look(jsm, stream, had)
      if (found?.whole) return found.created
      if (found) {
        // After a power cut without fsync sequences begin again lower: other events get them, and a reader's position would skip those.
        log.error({ stream, lastSequence: found.lastSequence, had: had.sequence }, 'the broker lost events it had acknowledged')
        await jsm.streams.delete(stream)
      }
      const { created } = await jsm.streams.add({
        name: stream,
        subjects: [`${root}.>`],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        max_age: nanos(maxAgeMs),
        max_bytes: settings.maxBytes,
        duplicate_window: nanos(duplicateWindowMs),
        num_replicas: settings.replicas,
        allow_direct: true,
        deny_delete: false,
        deny_purge: false,
      })
      nc.publish(pokeSubject(root, 'stream'))
      return created
    },
    ensureCounters: () => ensureCountersStream(jsm, root, settings.replicas),
    async erase({ lane, type, organizationId, key }, from) {
      const subject = subjectOn(root, lane, type, organizationId, key)
      let next = from
      for (let erased = 0; ; erased++) {
        if (erased === erasedAtOnce) return { erased, next }
        const found = await jsm.direct.getMessage(stream, { seq: next, next_by_subj: subject })
        if (!found) return { erased, next: null }
        await jsm.streams.deleteMessage(stream, found.seq, true)
        next = found.seq + 1
      }
    },
  }
}

/** For a service's login: it looks itself, and asks the keeper for what it may not do. */
export function askedUpkeep(asks: Asks, jsm: JetStreamManager, root: string, user: string): StreamUpkeep {
  return {
    async ensure(had) {
      const found = await look(jsm, streamOf(root), had)
      if (found?.whole) return found.created
      return (await asks.ask(keeperTopic(user, 'stream'), had, Made, askTimeoutMs)).created
    },
    erase: (key, from) => asks.ask(keeperTopic(user, 'erase'), { ...key, from }, Erased, askTimeoutMs),
    async ensureCounters() {
      await asks.ask(keeperTopic(user, 'counters'), {}, z.null(), askTimeoutMs)
    },
  }
}
