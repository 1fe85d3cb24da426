import { hash, randomBytes } from 'node:crypto'

/**
 * A secret that names its organization, so that it is looked up under that organization's row-level security and no query has to
 * see them all: `<organization, 22 characters><32 random bytes, 43 characters>`, base64url. Only its SHA-256 is stored.
 */
const tokenPattern = /^([A-Za-z0-9_-]{22})[A-Za-z0-9_-]{43}$/
/** Its exact length, for schemas. */
export const organizationTokenLength = 65

export function makeOrganizationToken(organizationId: string): { token: string; hash: Buffer } {
  const organization = Buffer.from(organizationId.replaceAll('-', ''), 'hex')
  if (organization.length !== 16) throw new TypeError('An organization id must be a UUID.')
  const token = organization.toString('base64url') + randomBytes(32).toString('base64url')
  return { token, hash: hashToken(token) }
}

/** Whose token it claims to be, and what to look up; undefined for what we never gave out. */
export function readOrganizationToken(token: string): { organizationId: string; hash: Buffer } | undefined {
  const organization = tokenPattern.exec(token)?.[1]
  if (organization === undefined) return undefined
  const hex = Buffer.from(organization, 'base64url').toString('hex')
  return { organizationId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), hash: hashToken(token) }
}

const hashToken = (token: string) => hash('sha256', token, 'buffer')
