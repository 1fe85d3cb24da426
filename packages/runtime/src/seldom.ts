/** Lets something through once in a while, by name. */
export interface Seldom {
  /** True the first time, and again when the time is over. */
  isDue(name: string): boolean
}

const mostNames = 10_000

/** Each process counts for itself: a few more than once in a while are no harm. */
export function createSeldom({ everyMs, clock = () => performance.now() }: { everyMs: number; clock?: () => number }): Seldom {
  const last = new Map<string, number>()
  return {
    isDue(name) {
      const now = clock()
      const before = last.get(name)
      if (before !== undefined && now - before < everyMs) return false
      last.delete(name)
      const oldest = last.keys().next()
      if (last.size >= mostNames && !oldest.done) last.delete(oldest.value)
      last.set(name, now)
      return true
    },
  }
}
