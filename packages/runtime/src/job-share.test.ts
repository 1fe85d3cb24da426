import { expect, test } from 'vitest'
import { decideShare } from './job-share.ts'

const runs = (organization: string, count: number) => Array.from({ length: count }, () => organization)

test('a quarter of the places stays free for who comes next', () => {
  expect(decideShare([], 8)).toEqual({ room: 6, full: [] })
  expect(decideShare(runs('a', 6), 8)).toEqual({ room: 2, full: ['a'] })
  expect(decideShare([...runs('a', 3), ...runs('b', 3)], 8)).toEqual({ room: 2, full: ['a', 'b'] })
})

test('no claim gives anybody more than is left of their share, whoever it finds', () => {
  expect(decideShare([...runs('a', 2), ...runs('b', 1)], 8).room).toBe(1)
})

test('all together never have more than there are places', () => {
  expect(decideShare([...runs('a', 6), ...runs('b', 2)], 8).room).toBe(0)
})

test('a single place is had by one after the other', () => {
  expect(decideShare([], 1)).toEqual({ room: 1, full: [] })
  expect(decideShare(['a'], 1)).toEqual({ room: 0, full: ['a'] })
})
