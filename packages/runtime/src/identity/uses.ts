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
        z.object({ organizationId: z.uuid(), keyId: z.string().max(64), requests: z.int().min(1), lastUsedAt: z.iso.datetime() }),
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
 * request. These are statistics: a process that dies takes up to a minute of them along, and an answer that gets lost counts twice.
 */
export function gatherKeyUses(bus: Asks, log: Logger, now: () => Date = () => new Date()): KeyUses {
  let uses = new Map<string, Use>()

  function add(use: Use): void {
    const known = uses.get(use.keyId)
    if (!known && uses.size >= mostKeys) return
    uses.set(use.keyId, {
      ...use,
      requests: use.requests + (known?.requests ?? 0),
      lastUsedAt: known && known.lastUsedAt > use.lastUsedAt ? known.lastUsedAt : use.lastUsedAt,
    })
  }

  async function report(): Promise<void> {
    const due = [...uses.values()]
    uses = new Map()
    for (let i = 0; i < due.length; i += mostPerReport) {
      try {
        await bus.ask(askKeysUsed.topic, { uses: due.slice(i, i + mostPerReport) }, askKeysUsed.reply)
      } catch (error) {
        log.info({ err: describe(error) }, 'the use of API keys could not be told to accounts; it is told later')
        for (const use of due.slice(i)) add(use)
        return
      }
    }
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
