import { errors, type NatsConnection } from '@nats-io/transport-node'
import { BrokerAway, describe } from './errors.ts'
import type { Logger } from './log.ts'

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

/** What the client throws when nobody answers. */
const silences = [
  errors.TimeoutError,
  errors.NoRespondersError,
  errors.RequestError,
  errors.ClosedConnectionError,
  errors.DrainingConnectionError,
  errors.ConnectionError,
]

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
      if (!isUp) throw new BrokerAway('The broker is away.')
      const { promise: lost, reject } = Promise.withResolvers<never>()
      const listener = () => reject(new BrokerAway('The connection to the broker was lost.'))
      listeners.add(listener)
      try {
        return await Promise.race([ask(), lost])
      } catch (error) {
        if (!silences.some((silence) => error instanceof silence)) throw error
        throw new BrokerAway('The broker did not answer.', { cause: error })
      } finally {
        listeners.delete(listener)
      }
    },
  }
}
