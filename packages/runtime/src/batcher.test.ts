import { describe, expect, test, vi } from 'vitest'
import { createBatcher } from './batcher.ts'

/** Runs that end when the test says so. */
function heldRuns() {
  const groups: { items: number[]; end(): void; fail(error: Error): void }[] = []
  return {
    groups,
    run: (items: number[]) =>
      new Promise<string[]>((resolve, reject) => {
        groups.push({ items, end: () => resolve(items.map((item) => `done ${item}`)), fail: reject })
      }),
  }
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('a batcher', () => {
  test('answers each item with its own result', async () => {
    const batcher = createBatcher<number, string>({
      maxItems: 10,
      maxConcurrent: 2,
      run: async (items) => items.map((item) => `r${item}`),
    })
    expect(await Promise.all([1, 2, 3].map((item) => batcher.add(item)))).toEqual(['r1', 'r2', 'r3'])
  })

  test('runs a single item at once when idle', async () => {
    const { groups, run } = heldRuns()
    const batcher = createBatcher({ maxItems: 10, maxConcurrent: 1, run })
    const added = batcher.add(1)
    await turn()
    expect(groups.map((group) => group.items)).toEqual([[1]])
    groups[0]?.end()
    expect(await added).toBe('done 1')
  })

  test('takes what waits together, in order, up to its limits of items and runs', async () => {
    const { groups, run } = heldRuns()
    const batcher = createBatcher({ maxItems: 3, maxConcurrent: 2, run })
    const all = Array.from({ length: 10 }, (_, i) => batcher.add(i))
    await turn()
    expect(groups.map((group) => group.items)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
    expect(batcher.waiting()).toBe(4)
    groups[1]?.end()
    await turn()
    expect(groups.map((group) => group.items)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ])
    groups[0]?.end()
    await turn()
    for (const group of groups) group.end()
    expect(await Promise.all(all)).toEqual(Array.from({ length: 10 }, (_, i) => `done ${i}`))
  })

  test('starts another run beside one that is under way only for an eighth of a full one', async () => {
    const { groups, run } = heldRuns()
    const batcher = createBatcher({ maxItems: 32, maxConcurrent: 2, run })
    const all = [batcher.add(0)]
    await turn()
    for (let i = 1; i <= 3; i++) {
      all.push(batcher.add(i))
      await turn()
    }
    expect(groups.map((group) => group.items)).toEqual([[0]])
    all.push(batcher.add(4))
    await turn()
    expect(groups.map((group) => group.items)).toEqual([[0], [1, 2, 3, 4]])
    for (let i = 5; i <= 9; i++) all.push(batcher.add(i))
    await turn()
    groups[1]?.end()
    await turn()
    expect(groups.map((group) => group.items)).toEqual([[0], [1, 2, 3, 4], [5, 6, 7, 8, 9]])
    all.push(batcher.add(10))
    await turn()
    for (const group of groups) group.end()
    await turn()
    groups.at(-1)?.end()
    expect(await Promise.all(all)).toEqual(Array.from({ length: 11 }, (_, i) => `done ${i}`))
  })

  test('fails only the bad item of a group', async () => {
    const runs: number[][] = []
    const batcher = createBatcher<number, number>({
      maxItems: 10,
      maxConcurrent: 1,
      async run(items) {
        runs.push(items)
        if (items.includes(3)) throw new Error('3 is bad')
        return items
      },
    })
    const results = await Promise.allSettled([1, 2, 3, 4].map((item) => batcher.add(item)))
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(results[2]).toMatchObject({ reason: { message: '3 is bad' } })
    expect(runs).toEqual([[1, 2, 3, 4], [1], [2], [3], [4]])
  })

  test('goes on after a run that threw, and refuses a run that forgot an item', async () => {
    let answers: number[] | Error = new Error('away')
    const batcher = createBatcher<number, number>({
      maxItems: 10,
      maxConcurrent: 1,
      async run() {
        if (answers instanceof Error) throw answers
        return answers
      },
    })
    await expect(batcher.add(1)).rejects.toThrow('away')
    answers = []
    await expect(batcher.add(1)).rejects.toThrow('must answer each of its items')
    answers = [7]
    expect(await batcher.add(1)).toBe(7)
  })

  test('says when nothing waits or runs', async () => {
    const { groups, run } = heldRuns()
    const batcher = createBatcher({ maxItems: 1, maxConcurrent: 1, run })
    await batcher.idle()
    const all = [batcher.add(1), batcher.add(2)]
    let idle = false
    const idling = batcher.idle().then(() => {
      idle = true
    })
    await turn()
    groups[0]?.end()
    await turn()
    await turn()
    expect(idle).toBe(false)
    groups[1]?.end()
    await idling
    expect(await Promise.all(all)).toEqual(['done 1', 'done 2'])
  })

  test('fails a whole group at once while what it runs on is away', async () => {
    const runs: number[][] = []
    const batcher = createBatcher<number, number>({
      maxItems: 10,
      maxConcurrent: 1,
      async run(items) {
        runs.push(items)
        throw new Error('Query read timeout')
      },
    })
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)))
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(runs).toEqual([[1, 2, 3]])
  })

  test('refuses whoever has waited too long, and does not run them later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { groups, run } = heldRuns()
      const batcher = createBatcher({ maxItems: 1, maxConcurrent: 1, patienceMs: 1_000, run })
      const running = batcher.add(1)
      const waiting = batcher.add(2)
      await turn()
      vi.advanceTimersByTime(600)
      const young = batcher.add(3)
      expect(batcher.waiting()).toBe(2)
      vi.advanceTimersByTime(500)
      await expect(running).rejects.toMatchObject({ code: 'unavailable' })
      await expect(waiting).rejects.toMatchObject({ code: 'unavailable' })
      expect(batcher.waiting()).toBe(1)
      groups[0]?.end()
      await turn()
      expect(groups.map((group) => group.items)).toEqual([[1], [3]])
      groups[1]?.end()
      expect(await young).toBe('done 3')
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
