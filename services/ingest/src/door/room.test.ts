import { expect, test } from 'vitest'
import { announcedBytes, createRoom, limitsFor, memoryBytes } from './room.ts'

const mebibyte = 1024 ** 2

test('a small container takes less at once than a large machine, and neither more than it can hold', () => {
  expect(limitsFor(256 * mebibyte)).toEqual({ bytesInFlight: 8 * mebibyte, deliveriesWaiting: 2_236 })
  expect(limitsFor(512 * mebibyte)).toEqual({ bytesInFlight: 16 * mebibyte, deliveriesWaiting: 4_473 })
  expect(limitsFor(64 * 1024 * mebibyte)).toEqual({ bytesInFlight: 256 * mebibyte, deliveriesWaiting: 10_000 })
})

test('the memory of this process is known and finite', () => {
  expect(memoryBytes()).toBeGreaterThan(64 * mebibyte)
  expect(memoryBytes()).toBeLessThan(1024 ** 5)
})

test('a length is taken from its header only when it is one', () => {
  expect(announcedBytes({ 'content-length': '1234' })).toBe(1_234)
  for (const value of [undefined, '', '-1', '1e9', '12 34']) expect(announcedBytes({ 'content-length': value })).toBeUndefined()
})

test('bodies are let in while there is room, and again when others are gone', () => {
  const room = createRoom(100)
  const leave = room.enter(60)
  expect(room.enter(41)).toBeUndefined()
  expect(room.enter(40)).toBeDefined()
  expect(room.enter(1)).toBeUndefined()
  leave?.()
  expect(room.enter(60)).toBeDefined()
})

test('a body larger than the whole room comes in beside the others, one at a time', () => {
  const room = createRoom(100)
  expect(room.enter(100)).toBeDefined()
  const leave = room.enter(101)
  expect(leave).toBeDefined()
  expect(room.enter(500)).toBeUndefined()
  leave?.()
  expect(room.enter(500)).toBeDefined()
})
