/** A channel's pace. Times are milliseconds on one clock, the database's. */
export interface Pace {
  perSecond: number
  /** Longest wait for a slot that is still worth holding a job for. */
  maxWaitMs: number
}

export type Reservation =
  | {
      /** When each send may start, in milliseconds from now, rising. */
      startsInMs: number[]
      nextFreeMs: number
    }
  | { tooFarMs: number }

/**
 * Reserves the next `count` slots of a channel (GCRA: the state is the one moment at which the channel is free again).
 * Slots lie one interval apart and nothing is saved up while a channel is idle: the vendor bans phones that write in bursts
 * (providers.md §1, limits). When even the first slot is too far away, nothing is reserved.
 */
export function reserveSlots(pace: Pace, nextFreeMs: number, nowMs: number, count: number): Reservation {
  const intervalMs = 1000 / pace.perSecond
  const firstMs = Math.max(nextFreeMs, nowMs)
  if (firstMs - nowMs > pace.maxWaitMs) return { tooFarMs: firstMs - nowMs }
  const startsInMs = Array.from({ length: count }, (_, index) => firstMs - nowMs + index * intervalMs)
  return { startsInMs, nextFreeMs: firstMs + count * intervalMs }
}

/**
 * How many slots a process takes at once: a quarter of a second of traffic, so that a busy channel costs the database four
 * statements a second per process, and a process that dies with its block wastes no more than that.
 */
export function blockSize(perSecond: number): number {
  return Math.min(250, Math.max(1, Math.round(perSecond / 4)))
}
