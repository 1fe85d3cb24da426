import { expect, test } from 'vitest'
import { isFull } from './lane-buffer.ts'

const messages = (count: number, bytes: number) => Array.from({ length: count }, () => ({ data: new Uint8Array(bytes) }))

test('a lane asks for more until it holds 256 events or a megabyte of them', () => {
  expect(isFull([])).toBe(false)
  expect(isFull(messages(255, 1_000))).toBe(false)
  expect(isFull(messages(256, 1_000))).toBe(true)
  expect(isFull(messages(15, 64 * 1024))).toBe(false)
  expect(isFull(messages(16, 64 * 1024))).toBe(true)
})
