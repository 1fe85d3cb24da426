import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { installationId, Permission } from '@parley/contracts'
import { AppError } from './errors.ts'
import type { Authenticate, Caller } from './types.ts'

/** What is kept of an API key: never the key. */
export const StoredKey = z.object({
  keyId: z.string().regex(/^[0-9a-z]{12}$/),
  organizationId: z.uuid(),
  /** HMAC-SHA-256 of the secret part under the key id: a fast hash is right for 256 random bits (reliability.md D42). */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.string().max(64)).max(100),
})
export type StoredKey = z.infer<typeof StoredKey>

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const keyPattern = /^ply_live_([0-9a-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

function base62(bytes: Uint8Array, length: number): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (let i = 0; i < length; i++) {
    text = alphabet[Number(value % 62n)] + text
    value /= 62n
  }
  return text
}

const checksum = (text: string) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(text))
  return base62(bytes, 6)
}
const hashOf = (keyId: string, secret: string) => createHmac('sha256', `parley.key.${keyId}`).update(secret).digest()

/** A new key, `ply_live_<id>_<43 base62><6 checksum>`, and what to store of it. The key itself cannot be had again. */
export function createKey(organizationId: string, scopes: readonly string[]): { key: string; stored: StoredKey } {
  const keyId = createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 12)
  const secret = base62(randomBytes(32), 43)
  const body = `ply_live_${keyId}_${secret}`
  return {
    key: `${body}${checksum(body)}`,
    stored: { keyId, organizationId, hash: hashOf(keyId, secret).toString('hex'), scopes: [...scopes] },
  }
}

/** True when a caller's scopes allow `wanted`: the same, `noun:*`, or `*`. */
export function allows(scopes: readonly string[], wanted: string): boolean {
  const noun = wanted.split(':')[0]
  return scopes.some((scope) => scope === wanted || scope === '*' || scope === `${noun}:*`)
}

const everyPermission = Permission.options

/** Nobody in particular: the caller of a public route. */
export const anonymous: Caller = {
  organizationId: installationId,
  actor: { kind: 'system', id: 'anonymous' },
  userId: null,
  sessionId: null,
  permissions: new Set(),
  authenticatedAt: null,
}

/**
 * Reads `authorization: Bearer <key>` of the keys that the operator set up (PARLEY_API_KEYS). A key with a wrong checksum is refused
 * without any look-up. Throws AppError `unauthenticated` (one text for every reason) or `forbidden`.
 */
export function authenticator(keys: readonly StoredKey[]): Authenticate {
  const byId = new Map(keys.map((key) => [key.keyId, key]))
  const nobody = () => new AppError('unauthenticated', 'A valid API key is needed: authorization: Bearer <key>.')
  return async (request, scope): Promise<Caller> => {
    if (scope === 'public') return anonymous
    const header = request.headers['authorization']
    const match = typeof header === 'string' ? /^Bearer ([\x21-\x7e]{1,200})$/i.exec(header) : null
    const parts = match?.[1] === undefined ? null : keyPattern.exec(match[1])
    if (!parts) throw nobody()
    const [text, keyId, secret, sum] = parts as unknown as [string, string, string, string]
    if (checksum(text.slice(0, -6)) !== sum) throw nobody()
    const stored = byId.get(keyId)
    const expected = stored ? Buffer.from(stored.hash, 'hex') : Buffer.alloc(32)
    if (!timingSafeEqual(hashOf(keyId, secret), expected) || !stored) throw nobody()
    if (scope === 'self' || !allows(stored.scopes, scope)) throw new AppError('forbidden', `This key does not allow '${scope}'.`)
    return {
      organizationId: stored.organizationId,
      actor: { kind: 'operator', id: keyId },
      userId: null,
      sessionId: null,
      permissions: new Set(everyPermission.filter((permission) => allows(stored.scopes, permission))),
      authenticatedAt: null,
    }
  }
}
