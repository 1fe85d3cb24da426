/** So many calls in each window. */
export interface Quota {
  name: 'minute' | 'day'
  limit: number
  seconds: number
}

export interface QuotaState extends Quota {
  remaining: number
  /** Until the window ends. */
  resetSeconds: number
}

/** Windows are the minutes and days of UTC, so that all replicas mean the same one. */
export function quotasOf({ perMinute, perDay }: { perMinute: number | null; perDay: number | null }): Quota[] {
  return [
    ...(perMinute === null ? [] : [{ name: 'minute', limit: perMinute, seconds: 60 } as const]),
    ...(perDay === null ? [] : [{ name: 'day', limit: perDay, seconds: 86_400 } as const]),
  ]
}

export const windowAt = (quota: Quota, nowMs: number) => Math.floor(nowMs / 1000 / quota.seconds)

/** Whole seconds, at least one: a client that comes back at zero would find the same window. */
export const secondsLeft = (quota: Quota, window: number, nowMs: number) =>
  Math.max(1, Math.ceil((window + 1) * quota.seconds - nowMs / 1000))

/**
 * How many calls a replica takes at once of what is left: a twentieth of the limit, so that few calls cost a round trip, and less
 * towards the end, so that little is left unused in the hands of replicas that do not need it.
 */
export function decideGrant(used: number, limit: number): number {
  const left = limit - used
  if (left <= 0) return 0
  return Math.max(1, Math.min(Math.floor(limit / 20), Math.floor(left / 4)))
}

/** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10 (structured fields, one item per policy). */
export function rateLimitHeaders(states: readonly QuotaState[]): Record<string, string> {
  if (states.length === 0) return {}
  return {
    'ratelimit-policy': states.map(({ name, limit, seconds }) => `"${name}";q=${limit};w=${seconds}`).join(', '),
    ratelimit: states.map(({ name, remaining, resetSeconds }) => `"${name}";r=${remaining};t=${resetSeconds}`).join(', '),
  }
}
