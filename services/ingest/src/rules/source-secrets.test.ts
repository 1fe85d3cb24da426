import { describe, expect, test } from 'vitest'
import { rotationMs, validSecrets } from './source-secrets.ts'

const rotatedAt = new Date('2026-01-01T12:00:00Z')
const after = (ms: number) => new Date(rotatedAt.getTime() + ms)

describe('the secrets of a source', () => {
  test('before any rotation there is one', () => {
    expect(validSecrets('now', null, null, rotatedAt)).toEqual(['now'])
  })

  test('during a rotation the old one is good as well, after the new one', () => {
    expect(validSecrets('now', 'old', rotatedAt, after(0))).toEqual(['now', 'old'])
    expect(validSecrets('now', 'old', rotatedAt, after(rotationMs - 1))).toEqual(['now', 'old'])
  })

  test('a day later the old one is refused', () => {
    expect(validSecrets('now', 'old', rotatedAt, after(rotationMs))).toEqual(['now'])
    expect(validSecrets('now', 'old', rotatedAt, after(25 * 3_600_000))).toEqual(['now'])
  })

  test('an old one of unknown age is never good', () => {
    expect(validSecrets('now', 'old', null, rotatedAt)).toEqual(['now'])
  })

  test('none set is none valid', () => {
    expect(validSecrets(null, null, null, rotatedAt)).toEqual([])
  })
})
