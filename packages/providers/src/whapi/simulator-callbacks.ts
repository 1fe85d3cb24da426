import { setTimeout as wait } from 'node:timers/promises'
import { Agent } from 'undici'
import { exchange } from '../http/exchange.ts'

export interface WebhookTarget {
  url: string
  /** Static headers: the only authentication the gateway offers, at most five (providers.md §1). */
  headers?: Record<string, string> | undefined
}

/** What our side answered; `status` is null when no answer came. */
export interface Delivery {
  status: number | null
  body: string
  attempts: number
}

export interface Callbacks {
  /** Posts a payload; with `persist` again and again until a 2xx, waiting a step longer each time, as the gateway does. */
  post(payload: unknown, options?: { persist?: boolean }): Promise<Delivery>
  /** How many payloads are not yet acknowledged. */
  pending(): number
  close(): Promise<void>
}

const timeoutMs = 15_000

/**
 * The gateway's calls to our webhook. `stepMs` grows linearly and is capped by `maxMs`, the gateway's own rule; its least
 * step is 3 s (providers.md §1), tests choose milliseconds.
 */
export function createCallbacks(target: () => WebhookTarget | undefined, backoff: { stepMs: number; maxMs: number }): Callbacks {
  const agent = new Agent({ connections: 16 })
  const closing = new AbortController()
  let pending = 0

  async function attempt(text: string): Promise<{ status: number | null; body: string }> {
    const { url, headers } = target() ?? {}
    if (url === undefined) return { status: null, body: 'The simulator has no webhook.' }
    const answer = await exchange(agent, {
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', ...headers },
      body: text,
      timeoutMs,
      maxAnswerBytes: 64 * 1024,
      signal: closing.signal,
    })
    return answer.ok ? { status: answer.status, body: answer.body.toString('utf8') } : { status: null, body: answer.message }
  }

  return {
    async post(payload, { persist = false } = {}) {
      const text = JSON.stringify(payload)
      pending += 1
      try {
        for (let attempts = 1; ; attempts++) {
          const { status, body } = await attempt(text)
          const accepted = status !== null && status >= 200 && status < 300
          if (accepted || !persist || closing.signal.aborted) return { status, body, attempts }
          const pauseMs = Math.min(attempts * backoff.stepMs, backoff.maxMs)
          await wait(pauseMs, undefined, { signal: closing.signal }).catch((error: unknown) => {
            if (!closing.signal.aborted) throw error
          })
        }
      } finally {
        pending -= 1
      }
    },
    pending: () => pending,
    async close() {
      closing.abort()
      await agent.destroy()
    },
  }
}
