/** When to answer somebody who may still be typing. */
export interface QuietTime {
  /** How long they must have been silent. */
  quietMs: number
  /** How long their first unanswered message may wait at most. */
  maxMs: number
}

/**
 * Null: answer now. A date: look again then. People and albums send several messages in a burst; one answer to all of them is
 * right, and cheaper (reliability.md F24). A message from the future is a clock out of step, so it delays nothing.
 */
export function waitUntil(waiting: { oldestAt: Date; newestAt: Date }, quiet: QuietTime, now: Date): Date | null {
  const sinceNewestMs = now.getTime() - waiting.newestAt.getTime()
  const sinceOldestMs = now.getTime() - waiting.oldestAt.getTime()
  if (sinceNewestMs < 0 || sinceNewestMs >= quiet.quietMs || sinceOldestMs >= quiet.maxMs) return null
  return new Date(Math.min(waiting.newestAt.getTime() + quiet.quietMs, waiting.oldestAt.getTime() + quiet.maxMs))
}
