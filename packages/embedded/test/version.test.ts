import { expect, test } from 'vitest'
import { compareVersions, parseVersion } from '../src/version.ts'

test('a server version is read from what the program prints', () => {
  expect(parseVersion('nats-server: v2.10.27\n')).toEqual([2, 10, 27])
  expect(parseVersion('nats-server: v2.12.0-RC.1')).toEqual([2, 12, 0])
  expect(parseVersion('no server here')).toBeUndefined()
})

test('versions are ordered by number, not by text', () => {
  expect(compareVersions([2, 9, 10], [2, 10, 0])).toBeLessThan(0)
  expect(compareVersions([2, 10, 23], [2, 10, 4])).toBeGreaterThan(0)
  expect(compareVersions([2, 11, 8], [2, 11, 8])).toBe(0)
})
