/** A refresh token as it was found, with its session. */
export interface FoundToken {
  usedAt: Date | null
  session: { endedAt: Date | null; expiresAt: Date; lastUsedAt: Date }
}

export interface RefreshLimits {
  idleMs: number
}

/** A client whose answer was lost asks again within this. */
export const graceMs = 10_000

export type RefreshDecision =
  /** Good: use it up and hand out the next one. */
  | 'rotate'
  /** Used a moment ago: the answer may have been lost, so the same answer is given again. */
  | 'repeat'
  /** Used before: two hold what one should have. Nobody can say which is the owner, so the session ends for both. */
  | 'revoke'
  /** The session is over. */
  | 'refuse'

/**
 * What a refresh token is good for. The repeat gives back the very token that was handed out the first time, never a second one: a thief who
 * is quick enough to repeat shares one chain with the owner, and the first of them to refresh after the other is noticed.
 */
export function decideRefresh(token: FoundToken, limits: RefreshLimits, now: Date): RefreshDecision {
  const { session } = token
  if (session.endedAt !== null || session.expiresAt <= now) return 'refuse'
  if (token.usedAt === null) return now.getTime() - session.lastUsedAt.getTime() > limits.idleMs ? 'refuse' : 'rotate'
  return now.getTime() - token.usedAt.getTime() <= graceMs ? 'repeat' : 'revoke'
}
