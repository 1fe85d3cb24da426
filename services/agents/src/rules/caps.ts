/** Ceilings on what one conversation may cost us in model calls (reliability.md A56). The organization's is the spend ledger. */
export interface Caps {
  /** Turns of one conversation per UTC day. */
  turnsPerDay: number
  /** Answers within the loop window after which we stop taking the other side for a person. */
  loopTurns: number
}

export interface RecentTurns {
  /** Turns of this conversation since midnight UTC. */
  today: number
  /** Answers that an agent gave here within the loop window, with no person in between. */
  inLoopWindow: number
}

/** The cap that forbids another model call, or null. Two bots that answer each other stop at the loop cap. */
export function cappedBy(recent: RecentTurns, caps: Caps): 'bot_loop' | 'turns_per_day' | null {
  if (recent.inLoopWindow >= caps.loopTurns) return 'bot_loop'
  if (recent.today >= caps.turnsPerDay) return 'turns_per_day'
  return null
}

/** The UTC day of a moment, `YYYY-MM-DD`: what the spend ledger and the daily cap count by. */
export function dayOf(now: Date): string {
  return now.toISOString().slice(0, 10)
}

/** The pause before the model is asked again after `failures` failed turns of a conversation, or null: stop asking. */
export function nextTryMs(failures: number, tries: number, baseMs: number, retryAfterMs: number | null): number | null {
  if (failures >= tries) return null
  return Math.min(Math.max(baseMs * 3 ** (failures - 1), retryAfterMs ?? 0), 30_000)
}
