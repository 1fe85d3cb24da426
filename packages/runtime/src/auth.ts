import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { installationId, type KeyRecord, Permission } from '@parley/contracts'
import { z } from 'zod'
import { checksumOf, hashKeySecret, toBase62 } from './key-text.ts'
import type { Caller } from './types.ts'

/** What is kept of an operator's API key: never the key. */
export const StoredKey = z.object({
  keyId: z.string().regex(/^[0-9a-z]{12}$/),
  organizationId: z.uuid(),
  /** HMAC-SHA-256 of the secret part under the key id: a fast hash is right for 256 random bits (reliability.md D42). */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.string().max(64)).max(100),
})
export type StoredKey = z.infer<typeof StoredKey>

/** Twelve characters of id: an operator's key (PARLEY_API_KEYS). Thirty-three: an organization's, which they name. */
const keyPattern = /^ply_live_([0-9A-Za-z]{12}|[0-9A-Za-z]{33})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

/** A new operator key, `ply_live_<id>_<43 base62><6 checksum>`, and what to store of it. The key itself cannot be had again. */
export function createKey(organizationId: string, scopes: readonly string[]): { key: string; stored: StoredKey } {
  const keyId = createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 12)
  const secret = toBase62(randomBytes(32), 43)
  const body = `ply_live_${keyId}_${secret}`
  return {
    key: `${body}${checksumOf(body)}`,
    stored: { keyId, organizationId, hash: hashKeySecret(keyId, secret).toString('hex'), scopes: [...scopes] },
  }
}

/** Id and secret of a key; undefined when it is none or its checksum is wrong, which nobody has to look anything up for. */
export function readKey(text: string): { keyId: string; secret: string } | undefined {
  const [, keyId, secret, checksum] = keyPattern.exec(text) ?? []
  if (keyId === undefined || secret === undefined) return undefined
  return checksumOf(text.slice(0, -6)) === checksum ? { keyId, secret } : undefined
}

const nothing = Buffer.alloc(32)

/** True when the secret has this hash. Takes as long for no hash as for a wrong one. */
export function opens(keyId: string, secret: string, hash: string | undefined): boolean {
  const expected = hash === undefined ? nothing : Buffer.from(hash, 'hex')
  return timingSafeEqual(hashKeySecret(keyId, secret), expected) && hash !== undefined
}

/** True when the secret opens an organization's key now: not revoked, not expired, after a rotation for a while also the one before. */
export function opensNow(record: KeyRecord | undefined, keyId: string, secret: string, nowMs: number): boolean {
  const isCurrent = opens(keyId, secret, record?.hash)
  const isPrevious = opens(keyId, secret, record?.previous?.hash)
  if (!record || record.status !== 'active') return false
  if (record.expiresAt !== null && Date.parse(record.expiresAt) <= nowMs) return false
  return isCurrent || (isPrevious && record.previous !== null && Date.parse(record.previous.until) > nowMs)
}

/** True when a caller's scopes allow `wanted`: the same, `noun:*`, or `*`. */
export function allows(scopes: readonly string[], wanted: string): boolean {
  const noun = wanted.split(':')[0]
  return scopes.some((scope) => scope === wanted || scope === '*' || scope === `${noun}:*`)
}

/** The permissions that a key's scopes come to. */
export function permissionsIn(scopes: readonly string[]): ReadonlySet<Permission> {
  return new Set(Permission.options.filter((permission) => allows(scopes, permission)))
}

/** Nobody in particular: the caller of a public route. */
export const anonymous: Caller = {
  organizationId: installationId,
  actor: { kind: 'system', id: 'anonymous' },
  userId: null,
  sessionId: null,
  permissions: new Set(),
  authenticatedAt: null,
}
