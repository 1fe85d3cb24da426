import { createHmac } from 'node:crypto'
import type { Identity } from './rules/identity.ts'

/**
 * The hash under which an erased identity stays recognisable to us alone: phone numbers are few enough to try them all,
 * so an unkeyed hash would still be the number. Parts are length-prefixed, hence no two identities share a text.
 */
export function identityHash(key: string, { organizationId, channel, accountId, externalId }: Identity): string {
  const hash = createHmac('sha256', key)
  for (const part of [organizationId, channel, accountId, externalId]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.digest('hex')
}
