import { AppError, classify } from './errors.ts'

/** Runs items that arrive together in one go. */
export interface Batcher<Item, Result> {
  /** Resolves with this item's result, or rejects with the error of its run. */
  add(item: Item): Promise<Result>
  /** Items waiting for a run. */
  waiting(): number
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>
}

interface Entry<Item, Result> {
  item: Item
  resolve(result: Result): void
  reject(error: unknown): void
  /** Its time is up: it was refused, and need not be run. */
  over: boolean
}

/**
 * Group commit: while a run is under way, arrivals queue, and the next run takes up to `maxItems` of them. When an eighth of that waits,
 * up to `maxConcurrent` runs go side by side; fewer items would each pay for a run of their own. An idle batcher runs a single
 * item at once, so batching costs no latency when there is nothing to gain. `run` answers in the order of its items; when a run of several throws, each is run again alone, so that one bad item fails only itself. While what it runs on is
 * away all of them fail at once: each alone would only wait out the same time-out once more, one after the other.
 */
export function createBatcher<Item, Result>(options: {
  maxItems: number
  maxConcurrent: number
  /** Items that were not answered by then are refused with AppError unavailable; those that still wait are not run any more. */
  patienceMs?: number
  run(items: Item[]): Promise<Result[]>
}): Batcher<Item, Result> {
  const worthAnotherRun = Math.ceil(options.maxItems / 8)
  let queue: Entry<Item, Result>[] = []
  let running = 0
  let idlers: (() => void)[] = []

  async function runGroup(group: Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await options.run(group.map((entry) => entry.item))
      if (results.length !== group.length) throw new TypeError('A batch must answer each of its items.')
      group.forEach((entry, index) => entry.resolve(results[index] as Result))
    } catch (error) {
      if (group.length === 1 || classify(error) === 'outage') for (const entry of group) entry.reject(error)
      else for (const entry of group) await runGroup([entry])
    }
  }

  /** Those whose time is up stand in front: all have the same patience. */
  function forgetThoseOver(): void {
    const first = queue.findIndex((entry) => !entry.over)
    queue = first === -1 ? [] : queue.slice(first)
  }

  function pump(): void {
    if (queue[0]?.over) forgetThoseOver()
    while (queue.length > 0 && running < (queue.length >= worthAnotherRun ? options.maxConcurrent : 1)) {
      const group = queue.slice(0, options.maxItems)
      queue = queue.slice(options.maxItems)
      running++
      void runGroup(group).finally(() => {
        running--
        pump()
      })
    }
    if (running === 0 && queue.length === 0) {
      const waiting = idlers
      idlers = []
      for (const wake of waiting) wake()
    }
  }

  return {
    add: (item) =>
      new Promise<Result>((resolve, reject) => {
        queue.push(withPatience({ item, resolve, reject, over: false }, options.patienceMs))
        // Requests of one event-loop turn arrive together: let them gather before the first of them starts a run.
        if (queue.length === 1 || queue.length === worthAnotherRun) setImmediate(pump)
      }),
    waiting: () => {
      if (queue[0]?.over) forgetThoseOver()
      return queue.length
    },
    idle: () => (running === 0 && queue.length === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  }
}

function withPatience<Item, Result>(entry: Entry<Item, Result>, patienceMs: number | undefined): Entry<Item, Result> {
  if (patienceMs === undefined) return entry
  const timer = setTimeout(() => {
    patient.over = true
    entry.reject(new AppError('unavailable', 'This takes too long right now. Try again.'))
  }, patienceMs)
  const patient: Entry<Item, Result> = {
    item: entry.item,
    over: false,
    resolve(result) {
      clearTimeout(timer)
      entry.resolve(result)
    },
    reject(error) {
      clearTimeout(timer)
      entry.reject(error)
    },
  }
  return patient
}
