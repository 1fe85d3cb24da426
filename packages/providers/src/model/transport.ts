import type { Dispatcher } from 'undici'
import { clip, exchange } from '../http/exchange.ts'
import { readRetryAfterMs } from '../http/retry-after.ts'

export type UnavailableKind = 'timeout' | 'rate_limited' | 'server' | 'connection' | 'breaker_open' | 'quota' | 'unauthorised'

export interface Unavailable {
  outcome: 'unavailable'
  kind: UnavailableKind
  retryAfterMs: number | null
  message: string
  /** True when the provider may have worked, and charged, although no answer came: keep the reservation. */
  mayBeBilled: boolean
}

/** Why no answer arrived, thrown through the SDK and caught on the other side of it. */
export class TransportError extends Error {
  override name = 'TransportError'
  readonly reason: 'timeout' | 'connection' | 'too_large' | 'aborted'
  readonly written: boolean
  constructor(reason: TransportError['reason'], written: boolean, message: string) {
    super(message)
    this.reason = reason
    this.written = written
  }
}

const maxAnswerBytes = 256 * 1024

/**
 * A `fetch` for the SDK over undici's own dispatcher, with the two limits that the SDK lacks: its time-out ends when the
 * headers are in, so a body that never ends would hang for ever, and it reads a body of any size.
 */
export function boundedFetch(dispatcher: Dispatcher, timeoutMs: number) {
  return async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    if (input instanceof Request || (init.body !== undefined && init.body !== null && typeof init.body !== 'string')) {
      throw new TypeError('The SDK sent a request in a form that this transport does not know.')
    }
    const answer = await exchange(dispatcher, {
      method: init.method === 'GET' ? 'GET' : 'POST',
      url: String(input),
      headers: Object.fromEntries(new Headers(init.headers)),
      body: init.body ?? undefined,
      timeoutMs,
      maxAnswerBytes,
      signal: init.signal ?? undefined,
    })
    if (!answer.ok) throw new TransportError(answer.reason, answer.written, answer.message)
    const { 'content-length': _, ...headers } = answer.headers
    return new Response(answer.status === 204 ? null : new Uint8Array(answer.body), { status: answer.status, headers })
  }
}

/** What an HTTP error of the API means (providers.md §7): only a plain rate limit and the server's own failures are worth a second try. */
export function readHttpError(status: number, error: unknown, headers: Record<string, string>, now: Date): Unavailable {
  const details = (typeof error === 'object' && error !== null ? error : {}) as {
    message?: unknown
    code?: unknown
    type?: unknown
  }
  const message = clip(typeof details.message === 'string' ? details.message : `The model's provider answered ${status}.`, 500)
  const retryAfterMs = readRetryAfterMs(headers, now)
  const failed = (kind: UnavailableKind, mayBeBilled = false): Unavailable => ({
    outcome: 'unavailable',
    kind,
    retryAfterMs,
    message,
    mayBeBilled,
  })
  // 429 has two meanings; an empty account does not fill by asking again.
  if (details.code === 'insufficient_quota' || details.type === 'insufficient_quota' || status === 402) return failed('quota')
  if (status === 401 || status === 403) return failed('unauthorised')
  if (status === 429) return failed('rate_limited')
  return failed('server', status >= 500)
}
