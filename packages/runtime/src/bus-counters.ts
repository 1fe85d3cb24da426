import { DiscardPolicy, type JetStreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { headers, type NatsConnection, nanos } from '@nats-io/transport-node'
import { z } from 'zod'
import type { Line } from './bus-line.ts'

/** Numbers that all replicas of all services raise together. */
export interface Counters {
  /**
   * Raises the counter `name` of the time window `window` by what `raise` says to its present count, in one step: two who raise at once
   * do it one after the other. A window that somebody has begun is never taken back to an earlier one: the answer says which one it
   * was. Rejects when the broker is away, or more than one step in twenty went wrong; whether it was raised is then unknown.
   */
  raise(name: string, window: number, raise: (count: number) => number): Promise<{ window: number; before: number; by: number }>
}

const Kept = z.object({ window: z.int(), count: z.int() })
const Acknowledged = z.object({
  seq: z.int().optional(),
  error: z.object({ err_code: z.int().optional(), description: z.string().optional() }).optional(),
})

const timeoutMs = 1_000
const tries = 20
/** Somebody else raised it since we looked (JetStream's "wrong last sequence"). */
const wrongSequence = 10_071

export const countersStream = (root: string) => `${root.toUpperCase()}_COUNTS`
export const countersSubject = (root: string) => `count.${root}.>`

/** Makes the stream of the counters when it is missing. */
export async function ensureCountersStream(jsm: JetStreamManager, root: string, replicas: number): Promise<void> {
  await jsm.streams.add({
    name: countersStream(root),
    subjects: [countersSubject(root)],
    storage: StorageType.Memory,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: 1,
    // Longer than the longest window, a day.
    max_age: nanos(25 * 3_600_000),
    max_bytes: 16 * 1024 ** 2,
    num_replicas: replicas,
    allow_direct: true,
  })
}

/**
 * One message per counter in a stream in memory, replaced only while it is the one that was read. The client's own key-value buckets are
 * the same underneath, under names that a service's permissions could not tell from any other bucket. A broker that restarts
 * has forgotten them, which is for the caller to know.
 */
export function openCounters(
  nc: NatsConnection,
  line: Line,
  jsm: JetStreamManager,
  root: string,
  ensureStream: () => Promise<void>,
): Counters {
  const stream = countersStream(root)

  async function read(subject: string): Promise<{ sequence: number; window: number; count: number }> {
    const message = await jsm.direct.getMessage(stream, { last_by_subj: subject })
    if (!message) return { sequence: 0, window: 0, count: 0 }
    return { sequence: message.seq, ...Kept.parse(message.json()) }
  }

  /** False when the counter is not what it was, or its stream is gone. */
  async function replace(subject: string, sequence: number, kept: z.infer<typeof Kept>): Promise<boolean> {
    const meta = headers()
    meta.set('Nats-Expected-Last-Subject-Sequence', String(sequence))
    const answer = await nc.request(subject, JSON.stringify(kept), { headers: meta, timeout: timeoutMs })
    const { seq, error } = Acknowledged.parse(answer.json())
    if (seq !== undefined && !error) return true
    if (error?.err_code === wrongSequence) return false
    throw new Error(`The broker did not count: ${error?.description ?? 'no reason given'}`)
  }

  async function step(subject: string, window: number, raise: (count: number) => number) {
    const now = await read(subject)
    const latest = Math.max(window, now.window)
    const before = now.window === latest ? now.count : 0
    const by = raise(before)
    if (by === 0) return { window: latest, before, by }
    const done = await replace(subject, now.sequence, { window: latest, count: before + by })
    return done ? { window: latest, before, by } : undefined
  }

  return {
    async raise(name, window, raise) {
      const subject = `count.${root}.${name}`
      let problem: unknown
      for (let i = 0; i < tries; i++) {
        try {
          const raised = await line.unlessLost(() => step(subject, window, raise))
          if (raised) return raised
          // Those who met here would meet again.
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * (i + 1)))
        } catch (error) {
          // A broker that was started anew has no such stream; anything else will be wrong again.
          if (problem !== undefined) throw error
          problem = error
          await line.unlessLost(ensureStream)
        }
      }
      throw new Error('The counter was never free.')
    },
  }
}
