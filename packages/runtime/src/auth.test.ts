import { randomUUIDv7 } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { allows, createKey, StoredKey } from './auth.ts'
import { createAuthenticator } from './identity/authenticate.ts'
import { openLog } from './log.ts'

const organizationId = randomUUIDv7()
const mine = createKey(organizationId, ['messages:read', 'ops:*'])
const others = createKey(randomUUIDv7(), ['*'])
/** Operator keys need nothing but themselves: whatever else is asked for fails the test. */
const unneeded = () => {
  throw new Error('This was not to be looked at.')
}
const authenticator = (operatorKeys: StoredKey[]) =>
  createAuthenticator({
    operatorKeys,
    directory: {
      organization: unneeded,
      member: unneeded,
      key: unneeded,
      signingKey: unneeded,
      isSessionRevoked: unneeded,
      changed: {} as never,
    },
    limiter: { admit: unneeded },
    uses: { note: unneeded, report: unneeded, stop: unneeded },
    outside: { verify: unneeded, userOf: unneeded },
    issuer: 'parley',
    requireTwoFactor: false,
    log: openLog({ name: 'test', level: 'silent' }),
  })
const authenticate = authenticator([mine.stored, others.stored])
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

/** The checksum a well-made key of these parts has. */
function sealed(body: string): string {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  let value = crc32(body)
  let text = ''
  for (let i = 0; i < 6; i++) {
    text = alphabet[value % 62] + text
    value = Math.floor(value / 62)
  }
  return body + text
}

describe('a new key', () => {
  test('has an id, 256 random bits and a checksum that anybody can check', () => {
    expect(mine.key).toMatch(/^ply_live_[0-9a-f]{12}_[0-9A-Za-z]{49}$/)
    expect(mine.key).toBe(sealed(mine.key.slice(0, -6)))
    expect(new Set(Array.from({ length: 100 }, () => createKey(organizationId, []).key)).size).toBe(100)
  })

  test('is not in what is stored of it', () => {
    const secret = mine.key.slice(22, -6)
    expect(StoredKey.parse(mine.stored)).toEqual(mine.stored)
    expect(JSON.stringify(mine.stored)).not.toContain(secret)
    expect(mine.stored.keyId).toBe(mine.key.slice(9, 21))
  })
})

describe('a call', () => {
  test('with a good key is its organization’s, and never carries the secret on', async () => {
    const caller = await authenticate(bearer(mine.key), 'messages:read')
    expect(caller).toEqual({
      organizationId,
      actor: { kind: 'operator', id: mine.stored.keyId },
      userId: null,
      sessionId: null,
      permissions: new Set(['messages:read', 'ops:read', 'ops:write']),
      authenticatedAt: null,
    })
    expect((await authenticate({ headers: { authorization: `bearer ${others.key}` } }, 'agents:write')).organizationId).toBe(
      others.stored.organizationId,
    )
  })

  const [mineId, otherSecret] = [mine.key.slice(9, 21), others.key.slice(22, -6)]
  test.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', `Basic ${mine.key}`],
    ['the key without its scheme', mine.key],
    ['something else after the key', `Bearer ${mine.key} ${mine.key}`],
    ['several headers', [`Bearer ${mine.key}`, `Bearer ${mine.key}`]],
    ['a key that lost its last letter', `Bearer ${mine.key.slice(0, -1)}`],
    ['a key of 10 kB', `Bearer ${mine.key}${'x'.repeat(10_000)}`],
    ['an unknown id', `Bearer ${sealed(`ply_live_${'0'.repeat(12)}_${otherSecret}`)}`],
    ['a wrong secret', `Bearer ${sealed(`ply_live_${mineId}_${'0'.repeat(43)}`)}`],
    ['the secret of another key', `Bearer ${sealed(`ply_live_${mineId}_${otherSecret}`)}`],
  ])('with %s is refused, in the same words as every other', async (_what, header) => {
    const headers = header === undefined ? {} : { authorization: header }
    await expect(authenticate({ headers }, 'messages:read')).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'A valid access token or API key is needed: authorization: Bearer <token or key>.',
    })
  })

  test('whose key has a wrong checksum is refused without a look-up', async () => {
    const stored = { ...mine.stored }
    let read = 0
    Object.defineProperty(stored, 'hash', { get: () => (read++, mine.stored.hash) })
    const counting = authenticator([stored])
    const last = mine.key.at(-1) === '0' ? '1' : '0'
    await expect(counting(bearer(mine.key.slice(0, -1) + last), 'messages:read')).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    expect(read).toBe(0)
    await counting(bearer(mine.key), 'messages:read')
    expect(read).toBe(1)
  })

  test('whose key does not allow the scope is forbidden, and told which', async () => {
    await expect(authenticate(bearer(mine.key), 'messages:write')).rejects.toMatchObject({
      code: 'forbidden',
      message: "This key does not allow 'messages:write'.",
    })
  })
})

describe('a scope', () => {
  test.each([
    [['messages:read'], 'messages:read', true],
    [['messages:read'], 'messages:write', false],
    [['messages:*'], 'messages:write', true],
    [['messages:*'], 'notes2:write', false],
    [['note:*'], 'messages:read', false],
    [['*'], 'agents:write', true],
    [['*:write'], 'messages:write', false],
    [['notes'], 'messages:read', false],
    [[], 'messages:read', false],
  ] as [string[], string, boolean][])('%j on %s: %s', (scopes, wanted, allowed) => {
    expect(allows(scopes, wanted)).toBe(allowed)
  })
})
