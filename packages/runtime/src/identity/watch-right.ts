import { AppError } from '../errors.ts'
import type { Authenticate, Caller } from '../types.ts'

/** With what is remembered (2 s) and the second in which a removal is heard, an answer ends within five (docs/security.md). */
const everyMs = 1_500
/** So often nobody may be able to say: a moment's trouble of ours is no reason to cut everybody off. */
const mostDoubts = 2

/** The right to go on with an answer that takes long. */
export interface WatchedRight {
  /** Aborts when the caller may no longer have what is being answered, or nobody can say for several seconds. */
  readonly signal: AbortSignal
  /** The answer is over. */
  stop(): void
}

/**
 * Asks again and again whether who made a call may still make it: key, session, membership, role and organization, and the token's own end.
 * Costs nothing of a key's limits.
 */
export function watchRight(
  authenticate: Authenticate,
  request: Parameters<Authenticate>[0],
  scope: Parameters<Authenticate>[1],
  caller: Caller,
): WatchedRight {
  const lost = new AbortController()
  let doubts = 0
  async function look(): Promise<void> {
    try {
      const { organizationId } = await authenticate(request, scope, undefined, { again: true })
      doubts = 0
      // Somebody may be a member of another organization now: the answer is about this one.
      if (organizationId !== caller.organizationId) lost.abort()
    } catch (error) {
      const isRefused = error instanceof AppError && error.code !== 'unavailable'
      if (isRefused || ++doubts > mostDoubts) lost.abort()
    }
  }
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  lost.signal.addEventListener('abort', () => clearInterval(timer))
  return { signal: lost.signal, stop: () => clearInterval(timer) }
}
