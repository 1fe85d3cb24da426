import { errors, headers, type NatsConnection } from '@nats-io/transport-node'
import type { Line } from './bus-line.ts'
import { BrokerAway, describe } from './errors.ts'

/**
 * Resolves once the broker has stored the event (fsynced). Rejects within 5 s; the outcome is then unknown, so publish again with the
 * same id.
 */
export type Publish = (subject: string, id: string, payload: string) => Promise<void>

/** Why the broker did not say that it stored an event: it may have, so the same id is published again. */
class PublishFailed extends BrokerAway {
  override name = 'PublishFailed'
}

/** No try will ever store this event: it is too large for the broker, or no subject can carry its key. Others are not concerned. */
export class Unpublishable extends Error {
  override name = 'Unpublishable'
}

/** What the broker says of a message that is larger than its stream takes. */
const tooLargeForStream = 10054

const publishTimeoutMs = 5_000

/**
 * Publishes with the broker's acknowledgement. The library's own `publish` opens a request with error objects and timers for each
 * message, an eighth of a hop's cost; here one subscription takes all answers and one timer watches over them.
 */
export function openPublisher(
  nc: NatsConnection,
  line: Line,
  { stream, inboxes, onStored }: { stream: string; inboxes: string; onStored(sequence: number): void },
): Publish {
  const inbox = `${inboxes}.ack.${Math.random().toString(36).slice(2)}`
  const waiting = new Map<string, { since: number; resolve(): void; reject(error: Error): void }>()
  let serial = 0

  function settle(token: string, failure: Error | undefined): void {
    const entry = waiting.get(token)
    if (!entry) return
    waiting.delete(token)
    if (failure === undefined) entry.resolve()
    else entry.reject(failure)
  }

  nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error) return
      const token = message.subject.slice(inbox.length + 1)
      if (message.headers?.code === 503) return settle(token, new PublishFailed('There is no stream for this event.'))
      const answer = message.json<{ stream?: string; seq?: number; error?: { err_code?: number; description?: string } }>()
      if (answer.seq) onStored(answer.seq)
      if (answer.seq && !answer.error) return settle(token, undefined)
      const problem = `The broker refused it: ${answer.error?.description ?? 'no sequence'}`
      settle(token, answer.error?.err_code === tooLargeForStream ? new Unpublishable(problem) : new PublishFailed(problem))
    },
  })
  // Map keeps insertion order: the first that is not late ends the look.
  const watch = setInterval(() => {
    const late = performance.now() - publishTimeoutMs
    for (const [token, entry] of waiting) {
      if (entry.since > late) return
      settle(token, new PublishFailed('The broker did not answer in time.'))
    }
  }, 250)
  watch.unref()
  const failAll = (problem: string) => {
    for (const token of waiting.keys()) settle(token, new PublishFailed(problem))
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
        // What the client itself will not send: a subject that is none, or more bytes than the broker takes.
        const { name, message } = describe(error)
        const refused = error instanceof errors.InvalidSubjectError || error instanceof errors.InvalidArgumentError
        settle(token, refused ? new Unpublishable(message) : new PublishFailed(`${name}: ${message}`))
      }
    })
}
