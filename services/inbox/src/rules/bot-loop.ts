/** So many answers of the agent within the window, and no person of the shop in between: two machines are talking. */
export const botLoopLimit = 10
export const botLoopWindowMs = 10 * 60_000

/**
 * Whether one more answer would be the eleventh in ten minutes (reliability.md A56). `agentReplyTimes` are the latest
 * answers since a person last wrote, oldest first.
 */
export function botLoop(agentReplyTimes: readonly Date[], now: Date): boolean {
  const oldest = agentReplyTimes.at(-botLoopLimit)
  return oldest !== undefined && now.getTime() - oldest.getTime() <= botLoopWindowMs
}

/** The times to keep after one more answer: never more than the rule looks at. */
export function withReplyAt(agentReplyTimes: readonly Date[], now: Date): Date[] {
  return [...agentReplyTimes, now].slice(-botLoopLimit)
}
