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

const source = (id: string, organizationId = id) => ({ id, organizationId: `of ${organizationId}` })

test('who has sent nothing yet holds nothing', () => {
  const room = createRoom(100, 10)
  for (let i = 0; i < 1_000; i++) room.enter(source('idle'))
  expect(room.enter(source('idle')).take(25)).toBe(true)
})

test('a source holds a quarter and an organization half, and others find room meanwhile', () => {
  const room = createRoom(100, 50)
  const [a, b, c] = [room.enter(source('a', 'x')), room.enter(source('b', 'x')), room.enter(source('c', 'x'))]
  expect([a.take(25), a.take(1), room.enter(source('a', 'x')).take(1)]).toEqual([true, false, false])
  expect([b.take(25), c.take(1)]).toEqual([true, false])
  expect([room.enter(source('d')).take(25), room.enter(source('e')).take(25), room.enter(source('f')).take(1)]).toEqual([
    true,
    true,
    false,
  ])
  a.leave()
  expect([c.take(25), room.enter(source('a', 'x')).take(1)]).toEqual([true, false])
})

test('who leaves twice gives back once', () => {
  const room = createRoom(100, 50)
  const [one, two] = [room.enter(source('a')), room.enter(source('a'))]
  expect([one.take(10), two.take(15)]).toEqual([true, true])
  one.leave()
  one.leave()
  expect([one.take(10), room.enter(source('a')).take(1)]).toEqual([true, false])
})

test('a recording that finds no room comes in beside the others, one at a time, and no ordinary body does', () => {
  const room = createRoom(100, 10)
  const full = room.enter(source('a'))
  expect(full.take(10) && full.take(10)).toBe(true)
  const [ordinary, recording, second] = [room.enter(source('a')), room.enter(source('a')), room.enter(source('a'))]
  expect([ordinary.take(6), recording.take(5), recording.take(500)]).toEqual([false, true, true])
  expect(second.take(500)).toBe(false)
  // What it had taken before is free again.
  expect(room.enter(source('a')).take(5)).toBe(true)
  recording.leave()
  expect(second.take(500)).toBe(true)
})
