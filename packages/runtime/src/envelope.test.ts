import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from './config.ts'
import {
  credentialsPlace,
  makeDataKey,
  openCredentials,
  openWithDataKey,
  sealCredentials,
  sealWithDataKey,
  unwrapDataKey,
  wrapDataKey,
} from './envelope.ts'
import { isSealedWithOldKey, openSealingKeys, SealBroken } from './sealed.ts'

const newKey = () => new Secret(randomBytes(32).toString('base64'))
const [mine, other] = ['018f0000-0000-7000-8000-000000000001', '018f0000-0000-7000-8000-000000000002'] as const
const keys = openSealingKeys(newKey())
const { dataKey, wrapped } = makeDataKey(keys, mine, 1)
const place = credentialsPlace(mine, 'connection-1')
const credentials = { token: 'whapi-token', note: 'clé 🔑' }

describe('a data key', () => {
  test('opens what it sealed, in its own place, and shows nothing of it', () => {
    for (const text of ['', 'a token', 'clé secrète 🔑', 'x'.repeat(100_000)]) {
      expect(openWithDataKey(dataKey, place, sealWithDataKey(dataKey, place, text))).toBe(text)
    }
    const once = sealWithDataKey(dataKey, place, 'whapi-token')
    expect(once).not.toContain('whapi-token')
    expect(once).not.toBe(sealWithDataKey(dataKey, place, 'whapi-token'))
    expect(Buffer.from(once.split('.')[2] as string, 'base64url').includes('whapi-token')).toBe(false)
  })

  test.each([
    ['another table', { ...place, table: 'sources' }],
    ['another column', { ...place, column: 'secret' }],
    ['another row', { ...place, row: 'connection-2' }],
  ])('moved to %s, the text does not open', (_name, moved) => {
    expect(() => openWithDataKey(dataKey, moved, sealWithDataKey(dataKey, place, 'secret'))).toThrow(SealBroken)
  })

  test('moved to another organization, neither the text nor the key opens', () => {
    const sealed = sealWithDataKey(dataKey, place, 'secret')
    const theirs = credentialsPlace(other, 'connection-1')
    expect(() => openWithDataKey(makeDataKey(keys, other, 1).dataKey, theirs, sealed)).toThrow(SealBroken)
    // Even with the same bytes as its key: the organization is authenticated.
    expect(() => openWithDataKey({ ...dataKey, organizationId: other }, theirs, sealed)).toThrow(SealBroken)
    expect(() => openWithDataKey(dataKey, theirs, sealed)).toThrow(SealBroken)
    expect(() => sealWithDataKey(dataKey, theirs, 'secret')).toThrow('another organization')
    expect(() => unwrapDataKey(keys, other, 1, wrapped)).toThrow(SealBroken)
  })

  test('of another version opens nothing, whatever the text says of itself', () => {
    const sealed = sealWithDataKey(dataKey, place, 'secret')
    const newer = { ...dataKey, version: 2 }
    expect(() => openWithDataKey(newer, place, sealed)).toThrow(SealBroken)
    expect(() => openWithDataKey(newer, place, sealed.replace('d1.1.', 'd1.2.'))).toThrow(SealBroken)
    expect(() => unwrapDataKey(keys, mine, 2, wrapped)).toThrow(SealBroken)
  })

  test('a changed byte anywhere in the text is noticed', () => {
    const [form, version, payload] = sealWithDataKey(dataKey, place, 'secret').split('.') as [string, string, string]
    const bytes = Buffer.from(payload, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      expect(() => openWithDataKey(dataKey, place, `${form}.${version}.${changed.toString('base64url')}`)).toThrow(SealBroken)
    }
  })

  test.each(['', 'plain', 'd1.1', 'd1.1.', 'd1.1.AAAA', 's1.1.AAAA', 'd1.1.AAAA.AAAA'])('%j is refused as not sealed', (text) => {
    expect(() => openWithDataKey(dataKey, place, text)).toThrow(SealBroken)
  })
})

describe('a change of the installation key', () => {
  const [before, after] = [newKey(), newKey()]
  const old = makeDataKey(openSealingKeys(before), mine, 1)
  const sealed = { keyVersion: 1, wrappedKey: old.wrapped, sealed: sealCredentials(old.dataKey, place, credentials) }
  const both = openSealingKeys(after, before)

  test('the old slot still opens, and the new one alone does not', () => {
    expect(openCredentials(both, place, sealed)).toEqual(credentials)
    expect(() => openCredentials(openSealingKeys(after), place, sealed)).toThrow(SealBroken)
  })

  test('wrapped anew, the credentials open without the old key, and were not touched', () => {
    const wrappedKey = wrapDataKey(both, unwrapDataKey(both, mine, 1, sealed.wrappedKey))
    expect([isSealedWithOldKey(both, sealed.wrappedKey), isSealedWithOldKey(both, wrappedKey)]).toEqual([true, false])
    expect(openCredentials(openSealingKeys(after), place, { ...sealed, wrappedKey })).toEqual(credentials)
  })
})

test('credentials swapped between two connections, or two organizations, do not open', () => {
  const theirs = makeDataKey(keys, other, 1)
  const [a, b] = [credentialsPlace(mine, 'a'), credentialsPlace(mine, 'b')]
  const sealed = { keyVersion: 1, wrappedKey: wrapped, sealed: sealCredentials(dataKey, a, credentials) }
  expect(openCredentials(keys, a, sealed)).toEqual(credentials)
  expect(() => openCredentials(keys, b, sealed)).toThrow(SealBroken)
  expect(() => openCredentials(keys, credentialsPlace(other, 'a'), sealed)).toThrow(SealBroken)
  expect(() => openCredentials(keys, credentialsPlace(other, 'a'), { ...sealed, wrappedKey: theirs.wrapped })).toThrow(SealBroken)
})

test('what is sealed but is no record of texts is refused', () => {
  for (const text of ['"text"', 'null', '{"a":1}']) {
    const sealed = { keyVersion: 1, wrappedKey: wrapped, sealed: sealWithDataKey(dataKey, place, text) }
    expect(() => openCredentials(keys, place, sealed)).toThrow(SealBroken)
  }
})
