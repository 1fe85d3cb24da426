import { hash } from 'node:crypto'

/**
 * The secret part of a webhook's path: `<organization, 22 characters><32 random bytes, 43 characters>`, base64url. It names the
 * organization, so that a delivery is looked up under that organization's row-level security and no query has to see them all.
 */
const tokenPattern = /^([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})$/

export function makeToken(organizationId: string, random: Uint8Array): string {
  if (random.length !== 32) throw new RangeError('A token takes 32 random bytes.')
  const organization = Buffer.from(organizationId.replaceAll('-', ''), 'hex')
  return organization.toString('base64url') + Buffer.from(random).toString('base64url')
}

/** Whose token it claims to be and what to look up; undefined for what we never gave out. */
export function readToken(token: string): { organizationId: string; hash: Buffer } | undefined {
  const organization = tokenPattern.exec(token)?.[1]
  if (organization === undefined) return undefined
  const hex = Buffer.from(organization, 'base64url').toString('hex')
  return { organizationId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), hash: hashToken(token) }
}

/** What is stored of a token. It is random enough that a fast hash is right. */
export function hashToken(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}
