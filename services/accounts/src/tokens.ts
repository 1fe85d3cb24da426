import { createHash, createHmac, randomBytes } from 'node:crypto'

/** A secret that is handed out once: 256 random bits in base64url. */
export const newToken = (): string => randomBytes(32).toString('base64url')

/** What is kept of it. A fast hash is right for 256 random bits: there is nothing to guess. */
export const hashToken = (token: string): Buffer => createHash('sha256').update(token).digest()

/**
 * The refresh token that comes after `token`. Made of it and of a nonce that we keep, so that the same answer can be given again when it
 * was lost, without keeping any token: our copy of the nonce is worth nothing without the token, and the token nothing without it.
 */
export const successorOf = (token: string, nonce: Uint8Array): string =>
  createHmac('sha256', token).update('parley refresh token').update(nonce).digest('base64url')

/** A random name for a device or person in a table that is not to hold the address itself. */
export const keyedHash = (key: Uint8Array, ...parts: readonly string[]): string =>
  createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url')
