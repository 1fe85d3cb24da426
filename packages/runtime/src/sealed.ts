import { createHash } from 'node:crypto'
import { z } from 'zod'
import { decryptText, encryptText, SealBroken, type SealedPlace } from './aes-gcm.ts'
import { Secret } from './config.ts'

export { SealBroken, type SealedPlace } from './aes-gcm.ts'

/** The 32-byte keys that open what is sealed; new text is always sealed with `current`. */
export interface SealingKeys {
  readonly current: Uint8Array
  /** The key before the last change: it opens, it never seals. */
  readonly previous: Uint8Array | undefined
}

const version = 's1'
const keyBytes = 32

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

/** Seals a text for one place: `s1.<key id>.<base64url>`. One key may seal 2^32 texts: far beyond the number of credentials there are. */
export function sealText(keys: SealingKeys, place: SealedPlace, text: string): string {
  return encryptText(keys.current, [version, keyId(keys.current)], place, text)
}

/** The text sealed for this very place. Throws SealBroken, which never tells the text nor a key. */
export function openText(keys: SealingKeys, place: SealedPlace, sealed: string): string {
  const [form, id, payload, ...rest] = sealed.split('.')
  if (form !== version || id === undefined || payload === undefined || rest.length > 0) {
    throw new SealBroken(`Not a text sealed in form ${version}.`)
  }
  const key = [keys.current, keys.previous].find((candidate) => candidate !== undefined && keyId(candidate) === id)
  if (key === undefined) throw new SealBroken(`Sealed with a key that is neither the current nor the previous one (${id}).`)
  return decryptText(key, [version, id], place, payload)
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
