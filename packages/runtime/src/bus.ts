import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { randomBytes } from 'node:crypto'
import { connect, headers, type Msg, type NatsConnection, nanos, type Subscription } from '@nats-io/transport-node'
import { type Asks, openAsks } from './bus-asks.ts'
import { type Counters, openCounters } from './bus-counters.ts'
import { apiOf, type BusLogin, connectionOptions, isLimited } from './bus-login.ts'
import { inboxOf, pokeSubject, streamOf } from './bus-permissions.ts'
import { askedUpkeep, ownUpkeep, type SeenStream } from './bus-stream.ts'
import { describe } from './errors.ts'
import type { Logger } from './log.ts'

/** The broker as this process sees it: one stream of events that can be rebuilt from the outboxes (reliability.md D1, D2). */
export interface Bus extends Asks {
  counters: Counters
  readonly root: string
  readonly stream: string
  connected(): boolean
  /** Makes the stream if it is missing; resolves with the moment of its creation, its identity: a new one means a lost one. */
  ensureStream(): Promise<string>
  /** Calls `listener` when the stream may have become another one: somebody made it anew, or the broker was away. */
  onStreamDoubt(listener: () => void): () => void
  /** Resolves once the broker has stored the event (fsynced). Rejects within 5 s; the outcome is then unknown, so publish again with the same id. */
  publish(subject: string, id: string, payload: string): Promise<void>
  /** Reads one lane from the event after `position` on, in order, until stopped. */
  readLane(options: LaneReaderOptions): LaneReader
  /** A hint to other processes; may be lost. */
  poke(topic: string): void
  onPoke(topic: string, listener: () => void): () => void
  /** Overwrites the stored events of one key, for erasure (reliability.md, finding 9: purging leaves the bytes). Resolves with their number. */
  eraseKey(lane: number, types: readonly string[], organizationId: string, key: string): Promise<number>
  close(): Promise<void>
}

export interface LaneMessage {
  sequence: number
  subject: string
  data: Uint8Array
}

interface LaneReaderOptions {
  name: string
  lane: number
  types: readonly string[]
  position: number
  /** The stream that the position counts in. */
  streamCreated: string
  onMessage(message: LaneMessage): void
  /** The stream is another one now; this reader has stopped. */
  onStreamChanged(): void
  /** True while the reader should not ask for more. */
  full(): boolean
}

export interface LaneReader {
  /** Ask for more, now that there is room. */
  resume(): void
  stop(): Promise<void>
  /** Events in the stream that this reader has not been given yet, as of the last one it got. */
  pending(): number
  /** Asks the broker: everything in the stream for this lane has been given. */
  caughtUp(): Promise<boolean>
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

const batch = 128
const pullExpiresMs = 30_000
const heartbeatMs = 5_000
const oldestServer = '2.10.0'

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
  const readers = new Set<{ reopen(why: string): void }>()
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
    onStreamDoubt(listener) {
      doubters.add(listener)
      return () => doubters.delete(listener)
    },
    publish: publisher(nc, line, stream, inboxOf(login.user), noteSequence),
    readLane(reader) {
      noteSequence(reader.position, reader.streamCreated)
      const onMessage = (message: LaneMessage) => {
        noteSequence(message.sequence, reader.streamCreated)
        reader.onMessage(message)
      }
      return readLane(nc, line, jsm, options, stream, readers, { ...reader, onMessage })
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

/** The connection as those see it who wait for an answer over it. */
export interface Line {
  isUp(): boolean
  /** Calls `listener` each time the connection breaks. */
  onLost(listener: () => void): void
  /**
   * Asks only while there is somebody to hear it, and rejects when the connection breaks before the answer: the client forgets what
   * was said while it is away, and would wait out the whole time for an answer that cannot come.
   */
  unlessLost<T>(ask: () => Promise<T>): Promise<T>
}

export function watchLine(nc: NatsConnection, log: Logger, onBack: () => void): Line {
  const listeners = new Set<() => void>()
  let isUp = true
  void watch()
  async function watch(): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') {
        if (isUp) log.warn('the broker went away; events wait in the outboxes')
        isUp = false
        for (const listener of listeners) listener()
      }
      if (status.type === 'reconnect') {
        isUp = true
        log.info('the broker is back')
        onBack()
      }
      if (status.type === 'error') log.warn({ err: describe(status.error) }, 'the broker reported an error')
    }
  }
  return {
    isUp: () => isUp,
    onLost: (listener) => listeners.add(listener),
    async unlessLost(ask) {
      if (!isUp) throw new Error('The broker is away.')
      const { promise: lost, reject } = Promise.withResolvers<never>()
      const listener = () => reject(new Error('The connection to the broker was lost.'))
      listeners.add(listener)
      try {
        return await Promise.race([ask(), lost])
      } finally {
        listeners.delete(listener)
      }
    },
  }
}

/** Why the broker did not say that it stored an event: it may have, so the same id is published again. */
class PublishFailed extends Error {
  override name = 'PublishFailed'
}

const publishTimeoutMs = 5_000

/**
 * Publishes with the broker's acknowledgement. The library's own `publish` opens a request with error objects and timers for each
 * message, an eighth of a hop's cost; here one subscription takes all answers and one timer watches over them.
 */
function publisher(
  nc: NatsConnection,
  line: Line,
  stream: string,
  inboxes: string,
  onStored: (sequence: number) => void,
): Bus['publish'] {
  const inbox = `${inboxes}.ack.${Math.random().toString(36).slice(2)}`
  const waiting = new Map<string, { since: number; resolve(): void; reject(error: Error): void }>()
  let serial = 0

  function settle(token: string, problem: string | undefined): void {
    const entry = waiting.get(token)
    if (!entry) return
    waiting.delete(token)
    if (problem === undefined) entry.resolve()
    else entry.reject(new PublishFailed(problem))
  }

  nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error) return
      const token = message.subject.slice(inbox.length + 1)
      if (message.headers?.code === 503) return settle(token, 'There is no stream for this event.')
      const answer = message.json<{ stream?: string; seq?: number; error?: { description?: string } }>()
      if (answer.seq) onStored(answer.seq)
      settle(
        token,
        answer.error || !answer.seq ? `The broker refused it: ${answer.error?.description ?? 'no sequence'}` : undefined,
      )
    },
  })
  // Map keeps insertion order: the first that is not late ends the look.
  const watch = setInterval(() => {
    const late = performance.now() - publishTimeoutMs
    for (const [token, entry] of waiting) {
      if (entry.since > late) return
      settle(token, 'The broker did not answer in time.')
    }
  }, 250)
  watch.unref()
  const failAll = (problem: string) => {
    for (const token of waiting.keys()) settle(token, problem)
  }
  line.onLost(() => failAll('The connection to the broker was lost.'))
  void nc.closed().then(() => {
    clearInterval(watch)
    failAll('The connection to the broker was closed.')
  })

  return (subject, id, payload) =>
    new Promise((resolve, reject) => {
      if (!line.isUp()) return reject(new PublishFailed('The broker is away.'))
      const token = (serial++).toString(36)
      const meta = headers()
      meta.set('Nats-Msg-Id', id)
      meta.set('Nats-Expected-Stream', stream)
      waiting.set(token, { since: performance.now(), resolve, reject })
      try {
        nc.publish(subject, payload, { reply: `${inbox}.${token}`, headers: meta })
      } catch (error) {
        settle(token, describe(error).message)
      }
    })
}

/**
 * One lane, pulled by hand rather than by the library's `consume()`: that one asks for more as messages arrive, not as they are
 * handled, so a slow lane would pile up in memory. The broker keeps no acknowledgements: the position is in Postgres, in the
 * handlers' own transaction, and any doubt (a gap, silence, a lost consumer) is resolved by reading again from there.
 */
function readLane(
  nc: NatsConnection,
  line: Line,
  jsm: JetStreamManager,
  options: BusOptions,
  stream: string,
  readers: Set<{ reopen(why: string): void }>,
  reader: LaneReaderOptions,
): LaneReader {
  const inbox = `${inboxOf(options.login.user)}.lane.${reader.name}.${Math.random().toString(36).slice(2)}`
  let position = reader.position
  let generation = 0
  let consumer: string | undefined
  let delivered = 0
  let outstanding = 0
  let lastHeard = performance.now()
  let pending = 0
  let stopped = false
  let opening: Promise<void> | undefined

  const subscription: Subscription = nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => (error ? reopen('subscription') : receive(message)),
  })

  function receive(message: Msg): void {
    lastHeard = performance.now()
    const ack = message.reply
    // An event carries its place in the stream as reply subject; anything else is a word from the broker about the pull.
    if (!ack?.startsWith('$JS.ACK.')) {
      if (message.subject === `${inbox}.${generation}`) status(message)
      return
    }
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>, two tokens more with a domain.
    const tokens = ack.split('.')
    const shift = tokens.length > 9 ? 2 : 0
    if (tokens[3 + shift] !== consumer) return
    const consumerSequence = Number(tokens[6 + shift])
    if (consumerSequence !== delivered + 1) {
      reopen('gap')
      return
    }
    delivered = consumerSequence
    outstanding--
    position = Number(tokens[5 + shift])
    pending = Number(tokens[8 + shift])
    reader.onMessage({ sequence: position, subject: message.subject, data: message.data })
    if (outstanding < batch / 4) pull()
  }

  function status(message: Msg): void {
    const code = message.headers?.code ?? 0
    if (code === 100) return
    // 404/408: the pull ran out, as it should. 409: too many pulls, or the consumer is gone. 503: nobody answers.
    if (code === 404 || code === 408) {
      outstanding = 0
      pull()
      return
    }
    if (code !== 0) reopen(`status ${code}`)
  }

  function pull(): void {
    if (stopped || consumer === undefined || outstanding > batch / 4 || reader.full() || nc.isClosed()) return
    const room = batch - outstanding
    outstanding += room
    nc.publish(
      `${apiOf(options.login)}.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      JSON.stringify({ batch: room, expires: nanos(pullExpiresMs), idle_heartbeat: nanos(heartbeatMs) }),
      { reply: `${inbox}.${generation}` },
    )
  }

  function reopen(why: string): void {
    if (stopped || opening) return
    consumer = undefined
    opening = open(why).finally(() => {
      opening = undefined
    })
  }

  async function open(why: string): Promise<void> {
    for (let tries = 0; !stopped; tries++) {
      try {
        const { created } = await line.unlessLost(() => jsm.streams.info(stream))
        if (created !== reader.streamCreated) {
          // Sequences of the lost stream mean nothing in this one; waiting for them would be waiting for ever.
          reader.onStreamChanged()
          return
        }
        generation++
        const info = await line.unlessLost(() =>
          jsm.consumers.add(stream, {
            // The end of the name is a secret: the broker's permissions cannot tell whose consumer a name is.
            name: `${reader.name}-g${generation}-${randomBytes(12).toString('hex')}`,
            ack_policy: AckPolicy.None,
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: position + 1,
            filter_subjects: reader.types.map((type) => `${options.root}.${reader.lane}.${type}.>`),
            inactive_threshold: nanos(60_000),
            mem_storage: true,
            num_replicas: 1,
          }),
        )
        consumer = info.name
        delivered = 0
        outstanding = 0
        pending = info.num_pending
        lastHeard = performance.now()
        pull()
        return
      } catch (error) {
        if (tries === 5) options.log.warn({ err: describe(error), lane: reader.lane, why }, 'a lane cannot be read; trying on')
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * 2 ** tries, 500)))
      }
    }
  }

  // Three missed heartbeats of an open pull: whatever happened on the way, read again from the position (D19).
  const monitor = setInterval(() => {
    if (consumer !== undefined && outstanding > 0 && performance.now() - lastHeard > 3 * heartbeatMs) reopen('silence')
  }, heartbeatMs)
  const self = { reopen }
  readers.add(self)
  reopen('start')

  return {
    resume: () => pull(),
    pending: () => pending,
    async caughtUp() {
      if (consumer === undefined || opening) return false
      const info = await jsm.consumers.info(stream, consumer)
      return info.num_pending === 0 && info.delivered.consumer_seq === delivered
    },
    async stop() {
      stopped = true
      readers.delete(self)
      clearInterval(monitor)
      subscription.unsubscribe()
      await opening
      if (consumer !== undefined && !nc.isClosed()) await jsm.consumers.delete(stream, consumer).catch(() => false)
    },
  }
}
