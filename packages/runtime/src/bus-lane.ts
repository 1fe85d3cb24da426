import { AckPolicy, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream'
import { type Msg, type NatsConnection, nanos, type Subscription } from '@nats-io/transport-node'
import { randomBytes } from 'node:crypto'
import type { Line } from './bus-line.ts'
import { apiOf, type BusLogin } from './bus-login.ts'
import { inboxOf, streamOf } from './bus-permissions.ts'
import { BrokerAway, describe } from './errors.ts'
import type { Logger } from './log.ts'

export interface LaneMessage {
  sequence: number
  subject: string
  data: Uint8Array
}

export interface LaneReaderOptions {
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
  /** Asks the broker what it has yet to give; `given`: the place in the stream of the last event that came. */
  place(): Promise<{ pending: number; given: number }>
}

/** What a lane is read from. */
export interface LaneSource {
  nc: NatsConnection
  line: Line
  jsm: JetStreamManager
  login: BusLogin
  root: string
  log: Logger
  /** Those that read: they open anew when there is doubt about the stream. */
  readers: Set<{ reopen(why: string): void }>
}

const ackPrefix = '$JS.ACK.'
const batch = 128
const pullExpiresMs = 30_000
const heartbeatMs = 5_000

/**
 * One lane, pulled by hand rather than by the library's `consume()`: that one asks for more as messages arrive, not as they are
 * handled, so a slow lane would pile up in memory. The broker keeps no acknowledgements: the position is in Postgres, in the
 * handlers' own transaction, and any doubt (a gap, silence, a lost consumer) is resolved by reading again from there.
 */
export function readLane({ nc, line, jsm, login, root, log, readers }: LaneSource, reader: LaneReaderOptions): LaneReader {
  const stream = streamOf(root)
  const inbox = `${inboxOf(login.user)}.lane.${reader.name}.${Math.random().toString(36).slice(2)}`
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
    if (!ack?.startsWith(ackPrefix)) {
      if (message.subject === `${inbox}.${generation}`) status(message)
      return
    }
    const place = readPlace(ack)
    if (place.consumer !== consumer) return
    if (place.consumerSequence !== delivered + 1) {
      reopen('gap')
      return
    }
    delivered = place.consumerSequence
    outstanding--
    position = place.sequence
    pending = place.pending
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
      `${apiOf(login)}.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
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
            filter_subjects: reader.types.map((type) => `${root}.${reader.lane}.${type}.>`),
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
        if (tries === 5) log.warn({ err: describe(error), lane: reader.lane, why }, 'a lane cannot be read; trying on')
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
    async place() {
      if (consumer === undefined || opening) throw new BrokerAway('This lane is being opened.')
      const name = consumer
      const info = await line.unlessLost(() => jsm.consumers.info(stream, name))
      // The broker's own place is beyond events that are none of this lane's, where no position of ours will ever be.
      return { pending: info.num_pending + Math.max(0, info.delivered.consumer_seq - delivered), given: position }
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

/**
 * Where an event stands, out of its reply subject: `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer
 * sequence>.<time>.<pending>`, two tokens more after the prefix with a domain.
 */
function readPlace(ack: string): { consumer: string | undefined; sequence: number; consumerSequence: number; pending: number } {
  const tokens = ack.split('.')
  const shift = tokens.length > 9 ? 2 : 0
  return {
    consumer: tokens[3 + shift],
    sequence: Number(tokens[5 + shift]),
    consumerSequence: Number(tokens[6 + shift]),
    pending: Number(tokens[8 + shift]),
  }
}
