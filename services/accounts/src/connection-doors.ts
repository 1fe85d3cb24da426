import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { ConnectionProvider } from '@parley/contracts'
import { fieldsOf } from './connection-fields.ts'
import { makeOrganizationToken } from './organization-token.ts'

/** Among the credentials, because it is one: what the provider's webhooks must carry. The name is ours, no provider has such a field. */
export const headerField = 'webhookHeader'
const headerName = 'x-parley-secret'

/** The door for a provider's webhooks: what is stored of it, and what its owner is shown once. */
export interface Door {
  columns: { webhookSourceId: string; webhookTokenHash: string; webhookHeaderName: string | null }
  /** To be sealed with the credentials. */
  secret: Record<string, string>
  shown: { url: string; path: string; header: { name: string; value: string } | null }
}

/** A new address, and a new header where the provider signs nothing. Undefined: the provider has no webhooks that we take. */
export function makeDoor(
  organizationId: string,
  provider: ConnectionProvider,
  origin: string,
  sourceId: string = randomUUIDv7(),
): Door | undefined {
  const proof = fieldsOf(provider).webhook
  if (proof === null) return undefined
  const { token, hash } = makeOrganizationToken(organizationId)
  const value = proof === 'header' ? randomBytes(32).toString('base64url') : null
  const path = `/webhooks/${provider}/${token}`
  return {
    columns: {
      webhookSourceId: sourceId,
      webhookTokenHash: hash.toString('hex'),
      webhookHeaderName: value === null ? null : headerName,
    },
    secret: value === null ? {} : { [headerField]: value },
    shown: { url: origin + path, path, header: value === null ? null : { name: headerName, value } },
  }
}
