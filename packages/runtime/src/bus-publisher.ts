import { headers, type NatsConnection } from '@nats-io/transport-node'
import type { Line } from './bus-line.ts'
import { describe } from './errors.ts'

/**
 * Resolves once the broker has stored the event (fsynced). Rejects within 5 s; the outcome is then unknown, so publish again with the
 * same id.
 */
export type Publish = (subject: string, id: string, payload: string) => Promise<void>

/** Why the broker did not say that it stored an event: it may have, so the same id is published again. */
class PublishFailed extends Error {
  override name = 'PublishFailed'
}

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
