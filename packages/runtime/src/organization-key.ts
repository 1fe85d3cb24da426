import { randomBytes } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const idLength = 33
/** The first value that 24 bytes cannot hold: 62^33 is larger, so not every text of 33 characters is an id. */
const tooLarge = 1n << 192n

/**
 * A new id for an API key of an organization: base62 of the organization's 16 bytes and 8 random ones, 33 characters. It names its
 * organization, so that the key's row is looked up under that organization's row-level security and no query has to see them all.
 */
export function createOrganizationKeyId(organizationId: string): string {
  const hex = organizationId.replaceAll('-', '') + randomBytes(8).toString('hex')
  if (!/^[0-9a-f]{48}$/.test(hex)) throw new TypeError('An organization id must be a UUID in lower case.')
  let value = BigInt(`0x${hex}`)
  let text = ''
  for (let i = 0; i < idLength; i++) {
    text = alphabet[Number(value % 62n)] + text
    value /= 62n
  }
  return text
}

/** The organization that a key's id names; undefined for what `createOrganizationKeyId` cannot have made. */
export function parseOrganizationKeyId(keyId: string): string | undefined {
  if (!/^[0-9A-Za-z]{33}$/.test(keyId)) return undefined
  let value = 0n
  for (const character of keyId) value = value * 62n + BigInt(alphabet.indexOf(character))
  if (value >= tooLarge) return undefined
  const hex = value.toString(16).padStart(48, '0').slice(0, 32)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
