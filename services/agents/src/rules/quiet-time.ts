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

/** As long as the inbox gives a message that comes late; a turn that waited longer has found an organization that was closed, say. */
const answerWithinMs = 24 * 3_600_000

/** Whether an automatic answer to what was last said would startle by now. */
export function isTooLate(newestAt: Date, now: Date): boolean {
  return now.getTime() - newestAt.getTime() > answerWithinMs
}
