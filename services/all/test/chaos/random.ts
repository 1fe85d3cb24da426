/** Everything random in a run, out of one seed: the same seed plans the same sends, faults and moments. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number
  /** A whole number, both ends included. */
  int(from: number, to: number): number
  pick<T>(items: readonly T[]): T
  /** True so often out of 1. */
  chance(share: number): boolean
  shuffled<T>(items: readonly T[]): T[]
  /** A stream of its own for a part of the run, so that one part's draws do not move another's. */
  fork(name: string): Random
}

/** Mulberry32: small, fast, and good enough to be unfair with. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    int,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('There is nothing to pick from.')
      return items[int(0, items.length - 1)] as (typeof items)[number]
    },
    chance: (share) => next() < share,
    shuffled: (items) => {
      const copy = [...items]
      for (let i = copy.length - 1; i > 0; i--) {
        const other = int(0, i)
        ;[copy[i], copy[other]] = [copy[other] as (typeof copy)[number], copy[i] as (typeof copy)[number]]
      }
      return copy
    },
    fork: (name) =>
      createRandom(Array.from(name).reduce((hash, char) => Math.imul(hash ^ char.charCodeAt(0), 0x01000193), seed ^ 0x811c9dc5)),
  }
}
