import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { checksumOf, hashKeySecret } from './key-text.ts'
import { createKeySecret, createOrganizationKeyId, parseOrganizationKeyId } from './organization-key.ts'

test('a key id names its organization, and no two are the same', () => {
  for (const organizationId of [randomUUID(), '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']) {
    const ids = Array.from({ length: 50 }, () => createOrganizationKeyId(organizationId))
    expect(new Set(ids).size).toBe(50)
    for (const id of ids) {
      expect(id).toMatch(/^[0-9A-Za-z]{33}$/)
      expect(parseOrganizationKeyId(id)).toBe(organizationId)
    }
  }
})

test('what is no id of ours names nobody', () => {
  expect(parseOrganizationKeyId('')).toBeUndefined()
  expect(parseOrganizationKeyId('0'.repeat(32))).toBeUndefined()
  expect(parseOrganizationKeyId('0'.repeat(34))).toBeUndefined()
  expect(parseOrganizationKeyId(`${'0'.repeat(32)}_`)).toBeUndefined()
  expect(parseOrganizationKeyId('z'.repeat(33))).toBeUndefined()
  // 24 bytes, and the first 16 are no UUID: an organization of that name can be asked about nowhere.
  expect(parseOrganizationKeyId('A'.repeat(33))).toBeUndefined()
})

test('an id is not made for what is not an organization', () => {
  expect(() => createOrganizationKeyId('not-an-organization')).toThrow(TypeError)
})

test('a key is told from a mistyped one by itself, and what is kept of it does not hold it', () => {
  const keyId = createOrganizationKeyId(randomUUID())
  const { key, hash, lastFour } = createKeySecret(keyId)
  const [, id, secret, checksum] = /^ply_live_([0-9A-Za-z]{33})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/.exec(key) ?? []
  expect(id).toBe(keyId)
  expect(checksumOf(key.slice(0, -6))).toBe(checksum)
  expect(checksumOf(`${key.slice(0, -7)}${key.at(-7) === 'a' ? 'b' : 'a'}`)).not.toBe(checksum)
  expect(hashKeySecret(keyId, secret as string).toString('hex')).toBe(hash)
  expect(key.endsWith(lastFour)).toBe(true)
  expect(createKeySecret(keyId).key).not.toBe(key)
})

test('the same secret under another id has another hash', () => {
  expect(hashKeySecret('a', 'secret')).not.toEqual(hashKeySecret('b', 'secret'))
})
