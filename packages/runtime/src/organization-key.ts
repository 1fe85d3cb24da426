import { Id } from '@parley/contracts'
import { randomBytes } from 'node:crypto'
import { checksumOf, fromBase62, hashKeySecret, toBase62 } from './key-text.ts'

const idLength = 33
const idBytes = 16 + 8

/**
 * A new id for an API key of an organization: base62 of the organization's 16 bytes and 8 random ones, 33 characters. It names its
 * organization, so that the key's row is looked up under that organization's row-level security and no query has to see them all.
 */
export function createOrganizationKeyId(organizationId: string): string {
  const hex = organizationId.replaceAll('-', '')
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new TypeError('An organization id must be a UUID in lower case.')
  return toBase62(Buffer.concat([Buffer.from(hex, 'hex'), randomBytes(idBytes - 16)]), idLength)
}

/** The organization that a key's id names; undefined for what `createOrganizationKeyId` cannot have made. */
export function parseOrganizationKeyId(keyId: string): string | undefined {
  const hex = keyId.length === idLength ? fromBase62(keyId, idBytes)?.toString('hex') : undefined
  const id = hex?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
  // Whoever makes an id up hits a UUID seldom, and nobody can be asked about anything else.
  return Id.safeParse(id).success ? id : undefined
}

/** A secret for a key, `ply_live_<id>_<43 base62><6 checksum>`, and what to keep of it. The key itself cannot be had again. */
export function createKeySecret(keyId: string): { key: string; hash: string; lastFour: string } {
  const secret = toBase62(randomBytes(32), 43)
  const body = `ply_live_${keyId}_${secret}`
  const key = `${body}${checksumOf(body)}`
  return { key, hash: hashKeySecret(keyId, secret).toString('hex'), lastFour: key.slice(-4) }
}
