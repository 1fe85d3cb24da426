/** Lets something through once in a while, by name. */
export interface Seldom {
  /** True the first time, and again when the time is over. */
  isDue(name: string): boolean
  /** Null while it is not due; when it is, how many times it was not since the last time. */
  heldBack(name: string): number | null
}

const mostNames = 10_000

/** Each process counts for itself: a few more than once in a while are no harm. */
export function createSeldom({ everyMs, clock = () => performance.now() }: { everyMs: number; clock?: () => number }): Seldom {
  const last = new Map<string, { at: number; heldBack: number }>()
  const seldom: Seldom = {
    isDue: (name) => seldom.heldBack(name) !== null,
    heldBack(name) {
      const now = clock()
      const before = last.get(name)
      if (before !== undefined && now - before.at < everyMs) {
        before.heldBack++
        return null
      }
      last.delete(name)
      const oldest = last.keys().next()
      if (last.size >= mostNames && !oldest.done) last.delete(oldest.value)
      last.set(name, { at: now, heldBack: 0 })
      return before?.heldBack ?? 0
    },
  }
  return seldom
}
