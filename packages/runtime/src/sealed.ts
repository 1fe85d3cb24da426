import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { Secret } from './config.ts'

/** The 32-byte keys that open what is sealed; new text is always sealed with `current`. */
export interface SealingKeys {
  readonly current: Uint8Array
  /** The key before the last change: it opens, it never seals. */
  readonly previous: Uint8Array | undefined
}

/** Where a sealed text lives. It is authenticated with the text: copied into another row or organization, it does not open. */
export interface SealedPlace {
  organizationId: string
  table: string
  column: string
  row: string
}

/** A sealed text that none of our keys opens in this place: a wrong key, a moved row, or a changed byte. */
export class SealBroken extends Error {
  override name = 'SealBroken'
}

const version = 's1'
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** A required key from the environment: 32 random bytes in base64, `openssl rand -base64 32`. */
export function sealingKey(): z.ZodType<Secret> {
  return z
    .string()
    .refine((text) => decodeKey(text) !== undefined, 'must be 32 bytes in base64 (openssl rand -base64 32)')
    .transform((text) => new Secret(text))
}

/** The keys behind PARLEY_SECRET_KEY and, while a change of key is under way, PARLEY_SECRET_KEY_PREVIOUS. Throws TypeError on a wrong length. */
export function openSealingKeys(current: Secret, previous?: Secret): SealingKeys {
  return { current: requireKey(current), previous: previous === undefined ? undefined : requireKey(previous) }
}

/**
 * Seals a text with AES-256-GCM for one place: `s1.<key id>.<base64url of nonce, ciphertext and tag>`. Nonces are random
 * 96-bit numbers, so one key may seal 2^32 texts at most (reliability.md D41): far beyond the number of credentials there are.
 */
export function sealText(keys: SealingKeys, place: SealedPlace, text: string): string {
  const id = keyId(keys.current)
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', keys.current, nonce, { authTagLength: tagBytes })
  cipher.setAAD(authenticated(id, place))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `${version}.${id}.${sealed.toString('base64url')}`
}

/** The text sealed for this very place. Throws SealBroken, which never tells the text nor a key. */
export function openText(keys: SealingKeys, place: SealedPlace, sealed: string): string {
  const [form, id, payload, ...rest] = sealed.split('.')
  if (form !== version || id === undefined || payload === undefined || rest.length > 0) {
    throw new SealBroken(`Not a text sealed in form ${version}.`)
  }
  const key = [keys.current, keys.previous].find((candidate) => candidate !== undefined && keyId(candidate) === id)
  if (key === undefined) throw new SealBroken(`Sealed with a key that is neither the current nor the previous one (${id}).`)
  const bytes = Buffer.from(payload, 'base64url')
  if (bytes.length < nonceBytes + tagBytes) throw new SealBroken('The sealed text is cut short.')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(authenticated(id, place))
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes)), decipher.final()]).toString(
      'utf8',
    )
  } catch (cause) {
    throw new SealBroken(`The sealed text of ${place.table}.${place.column} does not belong to this row, or was changed.`, {
      cause,
    })
  }
}

/** True when a text should be sealed again because its key is no longer the current one. */
export function isSealedWithOldKey(keys: SealingKeys, sealed: string): boolean {
  return sealed.split('.')[1] !== keyId(keys.current)
}

/** The name of the key that seals now: what is wrapped with another one has to be wrapped anew. */
export function currentKeyId(keys: SealingKeys): string {
  return keyId(keys.current)
}

/** Names a key without telling anything of it, so that a changed key is recognised instead of tried. */
function keyId(key: Uint8Array): string {
  return createHash('sha256').update('parley sealing key id\0').update(key).digest('base64url').slice(0, 8)
}

// A JSON array keeps the parts apart: ("a", "bc") and ("ab", "c") must not authenticate alike.
function authenticated(id: string, place: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify([version, id, place.organizationId, place.table, place.column, place.row]))
}

function requireKey(secret: Secret): Uint8Array {
  const key = decodeKey(secret.reveal())
  if (key === undefined) throw new TypeError('A sealing key is 32 bytes in base64.')
  return key
}

// Node's decoder drops what is not base64 in silence, so the way back must give the same text.
function decodeKey(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === keyBytes && bytes.toString('base64').replace(/=+$/, '') === text.trim().replace(/=+$/, '')
    ? bytes
    : undefined
}
