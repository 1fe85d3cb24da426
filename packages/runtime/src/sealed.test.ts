import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from './config.ts'
import { isSealedWithOldKey, openSealingKeys, openText, SealBroken, sealText, sealingKey, type SealedPlace } from './sealed.ts'

const key = () => new Secret(randomBytes(32).toString('base64'))
const place: SealedPlace = { organizationId: 'org-1', table: 'channels', column: 'token', row: 'row-1' }

describe('sealed text', () => {
  const keys = openSealingKeys(key())

  test('opens again in its own place, whatever it says', () => {
    for (const text of ['', 'a token', 'clé secrète 🔑', 'x'.repeat(100_000)]) {
      expect(openText(keys, place, sealText(keys, place, text))).toBe(text)
    }
  })

  test('shows nothing of the text and differs each time', () => {
    const once = sealText(keys, place, 'whapi-token')
    expect(once).not.toContain('whapi-token')
    expect(once).not.toBe(sealText(keys, place, 'whapi-token'))
  })

  test.each([
    ['another organization', { ...place, organizationId: 'org-2' }],
    ['another table', { ...place, table: 'webhook_sources' }],
    ['another column', { ...place, column: 'secret' }],
    ['another row', { ...place, row: 'row-2' }],
    ['parts that only read the same when joined', { ...place, table: 'channel', column: 'stoken' }],
  ])('moved to %s it does not open', (_name, other) => {
    expect(() => openText(keys, other, sealText(keys, place, 'secret'))).toThrow(SealBroken)
  })

  test('a changed byte anywhere in it is noticed', () => {
    const [form, id, payload] = sealText(keys, place, 'secret').split('.') as [string, string, string]
    const bytes = Buffer.from(payload, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      expect(() => openText(keys, place, `${form}.${id}.${changed.toString('base64url')}`)).toThrow(SealBroken)
    }
  })

  test.each(['', 'plain', 's1.abc', 's1.abc.', 's2.abcdefgh.AAAA', 's1.a.b.c'])('%j is refused as not sealed', (text) => {
    expect(() => openText(keys, place, text)).toThrow(SealBroken)
  })

  test('cut short it is refused', () => {
    const [form, id] = sealText(keys, place, 'secret').split('.')
    expect(() => openText(keys, place, `${form}.${id}.AAAA`)).toThrow('cut short')
  })
})

describe('changing the key', () => {
  const oldKey = key()
  const newKey = key()
  const sealed = sealText(openSealingKeys(oldKey), place, 'secret')

  test('what the previous key sealed still opens, and is known to need sealing again', () => {
    const keys = openSealingKeys(newKey, oldKey)
    expect(openText(keys, place, sealed)).toBe('secret')
    expect(isSealedWithOldKey(keys, sealed)).toBe(true)
    expect(isSealedWithOldKey(keys, sealText(keys, place, 'secret'))).toBe(false)
  })

  test('once the previous key is gone it no longer opens', () => {
    expect(() => openText(openSealingKeys(newKey), place, sealed)).toThrow(SealBroken)
  })
})

describe('a key from the environment', () => {
  test('is taken when it has 32 bytes, and never printed', () => {
    expect(String(sealingKey().parse(key().reveal()))).toBe('[secret]')
  })

  test.each([
    '',
    'short',
    Buffer.alloc(31, 7).toString('base64'),
    Buffer.alloc(33, 7).toString('base64'),
    `${'?'.repeat(4)}${Buffer.alloc(32, 7).toString('base64')}`,
  ])('is refused as %j', (text) => {
    expect(sealingKey().safeParse(text).success).toBe(false)
    expect(() => openSealingKeys(new Secret(text))).toThrow(TypeError)
  })
})
