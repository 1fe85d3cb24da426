import { fitsKey } from '@parley/contracts'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { type Asks, openAsks } from './bus-asks.ts'
import { type Counters, openCounters } from './bus-counters.ts'
import { type LaneMessage, type LaneReader, type LaneReaderOptions, type LaneSource, readLane } from './bus-lane.ts'
import { watchLine } from './bus-line.ts'
import { apiOf, type BusLogin, connectionOptions, isLimited } from './bus-login.ts'
import { inboxOf, pokeSubject, streamOf } from './bus-permissions.ts'
import { openPublisher, type Publish } from './bus-publisher.ts'
import { askedUpkeep, ownUpkeep, type SeenStream } from './bus-stream.ts'
import type { Logger } from './log.ts'

/** The broker as this process sees it: one stream of events that can be rebuilt from the outboxes (reliability.md D1, D2). */
export interface Bus extends Asks {
  counters: Counters
  readonly root: string
  readonly stream: string
  connected(): boolean
  /** Makes the stream if it is missing; resolves with the moment of its creation, its identity: a new one means a lost one. */
  ensureStream(): Promise<string>
  /** Asks the broker how far the stream is, and whether it has room for what comes next. */
  streamState(): Promise<{ lastSequence: number; takesMore: boolean }>
  /** Calls `listener` when the stream may have become another one: somebody made it anew, or the broker was away. */
  onStreamDoubt(listener: () => void): () => void
  publish: Publish
  /** Reads one lane from the event after `position` on, in order, until stopped. */
  readLane(options: LaneReaderOptions): LaneReader
  /** A hint to other processes; may be lost. */
  poke(topic: string): void
  onPoke(topic: string, listener: () => void): () => void
  /** Overwrites the stored events of one key, for erasure (reliability.md, finding 9: purging leaves the bytes). Resolves with their number. */
  eraseKey(lane: number, types: readonly string[], organizationId: string, key: string): Promise<number>
  close(): Promise<void>
}

export interface BusOptions {
  login: BusLogin
  name: string
  /** First token of every subject and name of the stream; only tests use another than `evt`. */
  root: string
  replicas: number
  maxBytes: number
  log: Logger
}

const oldestServer = '2.10.0'
/** A broker takes a mebibyte at once unless it is told otherwise. */
const largestEvent = 1024 ** 2

/** Connects, for ever patient once connected (reliability.md finding 7, D19). Rejects at the first try only. */
export async function openBus(options: BusOptions): Promise<Bus> {
  const { log, root, login } = options
  const stream = streamOf(root)
  const nc = await connect(connectionOptions(login, options.name))
  const version = nc.info?.version ?? '0.0.0'
  if (version.localeCompare(oldestServer, undefined, { numeric: true }) < 0) {
    await nc.close()
    throw new Error(
      `nats-server ${version} is too old: ${oldestServer} or newer is needed, because older ones cannot fsync before they acknowledge.`,
    )
  }
  const jsm: JetStreamManager = await jetstreamManager(nc, { timeout: 5_000, checkAPI: false, apiPrefix: apiOf(login) })
  const doubters = new Set<() => void>()
  const readers: LaneSource['readers'] = new Set()
  /** Readers would notice a lost consumer or stream by its silence, in seconds, and a relay with nothing to say not at all. */
  const doubt = (why: string) => {
    for (const reader of readers) reader.reopen(why)
    for (const listener of doubters) listener()
  }
  const line = watchLine(nc, log, () => doubt('a new connection'))

  const asks = openAsks(nc, line, root, log)
  const upkeep = isLimited(login) ? askedUpkeep(asks, jsm, root, login.user) : ownUpkeep(nc, jsm, options, log)
  let seen: SeenStream = { created: '', sequence: 0 }
  const noteSequence = (sequence: number, created = seen.created) => {
    if (created === seen.created && sequence > seen.sequence) seen.sequence = sequence
  }

  async function ensureStream(): Promise<string> {
    const created = await line.unlessLost(() => upkeep.ensure({ ...seen }))
    if (created !== seen.created) seen = { created, sequence: 0 }
    return created
  }
  nc.subscribe(pokeSubject(root, 'stream'), { callback: () => doubt('a new stream') })

  return {
    root,
    stream,
    ...asks,
    counters: openCounters(nc, line, jsm, root, upkeep.ensureCounters),
    connected: () => !nc.isClosed() && nc.getServer() !== '' && line.isUp(),
    ensureStream,
    async streamState() {
      const { state, config } = await line.unlessLost(() => jsm.streams.info(stream))
      const room = config.max_bytes - state.bytes
      return {
        lastSequence: state.last_seq,
        takesMore: config.max_bytes <= 0 || room >= Math.min(largestEvent, config.max_bytes / 8),
      }
    },
    onStreamDoubt(listener) {
      doubters.add(listener)
      return () => doubters.delete(listener)
    },
    publish: openPublisher(nc, line, { stream, inboxes: inboxOf(login.user), onStored: noteSequence }),
    readLane(reader) {
      noteSequence(reader.position, reader.streamCreated)
      const onMessage = (message: LaneMessage) => {
        noteSequence(message.sequence, reader.streamCreated)
        reader.onMessage(message)
      }
      return readLane({ nc, line, jsm, login, root, log, readers }, { ...reader, onMessage })
    },
    poke(topic) {
      if (!nc.isClosed()) nc.publish(pokeSubject(root, topic))
    },
    onPoke(topic, listener) {
      const subscription = nc.subscribe(pokeSubject(root, topic), { callback: () => listener() })
      return () => subscription.unsubscribe()
    },
    async eraseKey(lane, types, organizationId, key) {
      let erased = 0
      // No event of such a key was ever published.
      if (!fitsKey(key)) return erased
      for (const type of types) {
        for (let from: number | null = 1; from !== null; ) {
          const some = await upkeep.erase({ lane, type, organizationId, key }, from)
          erased += some.erased
          from = some.next
        }
      }
      return erased
    },
    async close() {
      if (!nc.isClosed()) await nc.drain().catch(() => nc.close())
    },
  }
}
