import { Id, laneCount } from '@parley/contracts'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { z } from 'zod'
import { openAsks } from './bus-asks.ts'
import { watchLine } from './bus-line.ts'
import { type BusLogin, connectionOptions } from './bus-login.ts'
import { type BusService, erasableTypesOf, keeperTopic, processName } from './bus-permissions.ts'
import { ownUpkeep, type StreamSettings } from './bus-stream.ts'
import { AppError } from './errors.ts'
import type { Logger } from './log.ts'
import { patiently } from './patiently.ts'

export interface KeeperOptions extends StreamSettings {
  login: BusLogin
  services: readonly BusService[]
  log: Logger
}

/** Looks after the stream for those whose logins may not: makes it, makes it anew, overwrites erased events. */
export interface Keeper {
  connected(): boolean
  stop(): Promise<void>
}

const Had = z.strictObject({ created: z.string().max(100), sequence: z.int().min(0) })
const Erasure = z.strictObject({
  lane: z
    .int()
    .min(0)
    .max(laneCount - 1),
  type: z.string().max(100),
  organizationId: Id,
  key: z.string().min(1).max(512),
  from: z.int().min(1),
})
/** A service that claims a loss again and again is wrong, or not itself: rebuilding the stream is work for all of them. */
const rebuildPauseMs = 10 * 60_000

/**
 * Starts the keeper and makes the streams. Rejects when the broker stays away for a minute. Several may run beside each other: each
 * question reaches one of them, and none of what they do is wrong twice.
 */
export async function startKeeper(options: KeeperOptions): Promise<Keeper> {
  const { root, log, services, login } = options
  const nc = await patiently('the broker', log, () => connect(connectionOptions(login, 'keeper')))
  try {
    const jsm = await jetstreamManager(nc, { timeout: 5_000, checkAPI: false })
    const upkeep = ownUpkeep(nc, jsm, options, log)
    const unseen = { created: '', sequence: 0 }
    const makeBoth = async () => {
      await upkeep.ensure(unseen)
      // In memory: a broker that was started anew has forgotten it.
      await upkeep.ensureCounters()
    }
    let rebuiltAt = Number.NEGATIVE_INFINITY
    const line = watchLine(nc, log, () => {
      // Events are lost while a server is away: after that, a loss is believable at once.
      rebuiltAt = Number.NEGATIVE_INFINITY
      makeBoth().catch((error: unknown) =>
        log.warn({ err: error }, 'the streams could not be looked after; whoever misses one asks'),
      )
    })
    const asks = openAsks(nc, line, root, log)

    async function ensure(user: string, had: z.infer<typeof Had>): Promise<{ created: string }> {
      const created = await upkeep.ensure(unseen)
      if (created !== had.created) return { created }
      if (performance.now() - rebuiltAt < rebuildPauseMs)
        throw new AppError('unavailable', 'The stream was made anew a moment ago; not again so soon.')
      const made = await upkeep.ensure(had)
      if (made !== created) {
        rebuiltAt = performance.now()
        log.error({ user }, 'the stream was made anew, because a service saw more of it than is left')
      }
      return { created: made }
    }

    function answer(user: string, types: readonly string[]): void {
      asks.answer(keeperTopic(user, 'stream'), Had, (had) => ensure(user, had))
      asks.answer(keeperTopic(user, 'counters'), z.strictObject({}), () => upkeep.ensureCounters())
      asks.answer(keeperTopic(user, 'erase'), Erasure, async ({ from, ...key }) => {
        if (!types.includes(key.type)) throw new AppError('forbidden', `${user} may not erase events of type ${key.type}.`)
        return upkeep.erase(key, from)
      })
    }
    for (const service of services) answer(service.name, erasableTypesOf(service))
    answer(processName, [...new Set(services.flatMap(erasableTypesOf))])
    await patiently('the event stream', log, makeBoth)
    return {
      connected: () => !nc.isClosed() && line.isUp(),
      async stop() {
        if (!nc.isClosed()) await nc.drain().catch(() => nc.close())
      },
    }
  } catch (error) {
    await nc.close()
    throw error
  }
}
