import { describe, expect, test } from 'vitest'
import { remember } from './remembered.ts'

function setup(most = 3) {
  let time = 0
  let loads = 0
  const remembered = remember<number>({ most, ttlMs: 2_000, now: () => time })
  return {
    remembered,
    pass: (ms: number) => {
      time += ms
    },
    load: async () => ++loads,
    loads: () => loads,
  }
}

describe('what was looked up', () => {
  test('is known for two seconds and then asked for again', async () => {
    const { remembered, pass, load } = setup()
    expect(await remembered.get('a', load)).toBe(1)
    pass(1_999)
    expect(await remembered.get('a', load)).toBe(1)
    pass(1)
    expect(await remembered.get('a', load)).toBe(2)
  })

  test('is asked for once by all who ask at the same time', async () => {
    const { remembered, load, loads } = setup()
    expect(await Promise.all([remembered.get('a', load), remembered.get('a', load), remembered.get('b', load)])).toEqual([
      1, 1, 2,
    ])
    expect(loads()).toBe(2)
  })

  test('never takes more room than it may: the oldest goes', async () => {
    const { remembered, load } = setup(3)
    for (const key of ['a', 'b', 'c', 'd']) await remembered.get(key, load)
    expect(remembered.size()).toBe(3)
    expect(await remembered.get('d', load)).toBe(4)
    expect(await remembered.get('a', load)).toBe(5)
  })

  test('is not kept when the look-up failed', async () => {
    const { remembered, load } = setup()
    await expect(remembered.get('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away')
    expect(await remembered.get('a', load)).toBe(1)
  })
})

describe('what changes', () => {
  test('is read anew until its commit has certainly ended', async () => {
    const { remembered, pass, load } = setup()
    await remembered.get('a', load)
    remembered.changed('a')
    expect(await remembered.get('a', load)).toBe(2)
    expect(await remembered.get('a', load)).toBe(3)
    pass(2_000)
    expect(await remembered.get('a', load)).toBe(4)
    expect(await remembered.get('a', load)).toBe(4)
  })

  test('does not come back by a look-up that was under way', async () => {
    const { remembered, pass, load } = setup()
    const { promise, resolve } = Promise.withResolvers<number>()
    const early = remembered.get('a', () => promise)
    remembered.changed('a')
    resolve(99)
    expect(await early).toBe(99)
    pass(2_000)
    expect(await remembered.get('a', load)).toBe(1)
  })
})
