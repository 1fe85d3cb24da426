import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  circuitBreaker,
  handleWhenResult,
  SamplingBreaker,
  wrap,
} from 'cockatiel'
import type { Unavailable, UnavailableKind } from './transport.ts'

export interface GateOptions {
  threshold?: number
  minimumCalls?: number
  windowMs?: number
  halfOpenAfterMs?: number
  maxConcurrent: number
}

/** What counts against the provider. A rate limit does: hammering on makes it worse. A wrong key or an empty account does not. */
const counted: readonly UnavailableKind[] = ['timeout', 'server', 'connection', 'rate_limited']

/**
 * Breaker and ceiling before a provider: when half of at least 20 calls fail it refuses at once, so that turns go to people
 * instead of waiting 20 s each, and lets one probe through after 30 s (reliability.md D37).
 */
export function createGate(options: GateOptions) {
  const { threshold = 0.5, minimumCalls = 20, windowMs = 60_000, halfOpenAfterMs = 30_000, maxConcurrent } = options
  const failed = (result: unknown) => isUnavailable(result) && counted.includes(result.kind)
  const breaker = circuitBreaker(handleWhenResult(failed), {
    halfOpenAfter: halfOpenAfterMs,
    // The breaker thinks in calls per second; half a call less, so that rounding cannot ask for one more.
    breaker: new SamplingBreaker({ threshold, duration: windowMs, minimumRps: (minimumCalls - 0.5) / (windowMs / 1000) }),
  })
  const ceiling = bulkhead(maxConcurrent, maxConcurrent)
  const policy = wrap(ceiling, breaker)

  return {
    async run<T>(call: () => Promise<T>): Promise<T | Unavailable> {
      // While a probe is out, cockatiel would make the others wait for it: up to 20 s each.
      if (breaker.state === CircuitState.HalfOpen) return broken()
      try {
        return await policy.execute(call)
      } catch (error) {
        if (error instanceof BrokenCircuitError) return broken()
        if (error instanceof BulkheadRejectedError) {
          const message = `Our own ceiling: ${maxConcurrent} calls are under way and as many wait.`
          return { outcome: 'unavailable', kind: 'rate_limited', retryAfterMs: null, message, mayBeBilled: false }
        }
        throw error
      }
    },
  }

  function broken(): Unavailable {
    const message = 'The model failed too often lately and is left alone for a moment.'
    return { outcome: 'unavailable', kind: 'breaker_open', retryAfterMs: halfOpenAfterMs, message, mayBeBilled: false }
  }
}

function isUnavailable(result: unknown): result is Unavailable {
  return typeof result === 'object' && result !== null && 'outcome' in result && result.outcome === 'unavailable'
}
