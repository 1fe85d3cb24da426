import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Asks } from '../bus-asks.ts'
import { describe } from '../errors.ts'
import type { Logger } from '../log.ts'

const mostPerReport = 500

/** Told to accounts; services/accounts/src/answers.ts keeps it. */
export const askKeysUsed = {
  topic: 'identity.keys-used',
  question: z.object({
    uses: z
      .array(
        z.object({
          organizationId: z.uuid(),
          keyId: z.string().max(64),
          requests: z.int().min(1),
          lastUsedAt: z.iso.datetime(),
          /** The same when it is told again; absent from a replica of before there were any. */
          reportId: z.uuid().optional(),
        }),
      )
      .max(mostPerReport),
  }),
  reply: z.null(),
} as const
type Use = z.infer<typeof askKeysUsed.question>['uses'][number]

export interface KeyUses {
  note(organizationId: string, keyId: string): void
  /** Tells accounts now. */
  report(): Promise<void>
  /** Tells accounts what has not been told. */
  stop(): Promise<void>
}

const reportMs = 60_000
const mostKeys = 20_000

/**
 * When and how often each API key was used, gathered in memory and told once a minute: a row per request would cost more than the
 * request. What was told without an answer is told again under the same id, before anything else, so that nothing counts twice. A
 * process that dies takes up to a minute along.
 */
export function gatherKeyUses(bus: Pick<Asks, 'ask'>, log: Logger, now: () => Date = () => new Date()): KeyUses {
  let uses = new Map<string, Use>()
  /** Told, and not answered yet. */
  let told: Use[] = []
  let reporting = Promise.resolve()

  function add(use: Use): void {
    const known = uses.get(use.keyId)
    if (!known && uses.size >= mostKeys) return
    uses.set(use.keyId, {
      ...use,
      requests: use.requests + (known?.requests ?? 0),
      lastUsedAt: known && known.lastUsedAt > use.lastUsedAt ? known.lastUsedAt : use.lastUsedAt,
    })
  }

  async function tell(): Promise<void> {
    const due = [...uses.values()]
    uses = new Map()
    try {
      while (told.length > 0 || due.length > 0) {
        if (told.length === 0) told = due.splice(0, mostPerReport).map((use) => ({ ...use, reportId: randomUUIDv7() }))
        await bus.ask(askKeysUsed.topic, { uses: told }, askKeysUsed.reply)
        told = []
      }
    } catch (error) {
      log.info({ err: describe(error) }, 'the use of API keys could not be told to accounts; it is told later')
      for (const use of due) add(use)
    }
  }

  function report(): Promise<void> {
    reporting = reporting.then(tell)
    return reporting
  }

  const timer = setInterval(() => void report(), reportMs)
  timer.unref()
  return {
    note: (organizationId, keyId) => {
      const known = uses.get(keyId)
      if (!known) return add({ organizationId, keyId, requests: 1, lastUsedAt: now().toISOString() })
      known.requests++
      known.lastUsedAt = now().toISOString()
    },
    report,
    async stop() {
      clearInterval(timer)
      await report()
    },
  }
}
