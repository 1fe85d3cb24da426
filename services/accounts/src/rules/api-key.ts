import type { Permission } from '@parley/contracts'

export const mostKeys = 100
const hourMs = 3_600_000
/** How long a key's secret from before a rotation still opens, unless said otherwise. */
export const overlapHours = { usual: 24, most: 7 * 24 } as const
const longestLifeMs = 5 * 366 * 24 * hourMs

/** The scopes that somebody cannot put on a key, because they lack them themselves. */
export function beyond(own: ReadonlySet<Permission>, scopes: readonly Permission[]): Permission[] {
  return scopes.filter((scope) => !own.has(scope))
}

/** Null: fine. A key that is dead on arrival, or outlives everybody, is a mistake. */
export function refuseExpiry(expiresAt: Date | null, now: Date): 'past' | 'too_far' | null {
  if (expiresAt === null) return null
  if (expiresAt <= now) return 'past'
  return expiresAt.getTime() - now.getTime() > longestLifeMs ? 'too_far' : null
}

/** A key as a person reads its state. */
export function stateOf(
  key: { status: 'active' | 'revoked'; expiresAt: Date | null },
  now: Date,
): 'active' | 'expired' | 'revoked' {
  if (key.status === 'revoked') return 'revoked'
  return key.expiresAt !== null && key.expiresAt <= now ? 'expired' : 'active'
}

/** What becomes of the secrets when a key is rotated: the current one overlaps, one from an earlier rotation ends at once. */
export function rotateSecrets(current: string, fresh: string, now: Date, overlap: number) {
  return {
    hash: fresh,
    previousHash: overlap === 0 ? null : current,
    previousUntil: overlap === 0 ? null : new Date(now.getTime() + overlap * hourMs),
  }
}
