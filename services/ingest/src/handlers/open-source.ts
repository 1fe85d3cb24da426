import { connectionChanged, ProviderName } from '@parley/contracts'
import { credentialsPlace, openCredentials, Permanent } from '@parley/runtime'
import { on } from '../app.ts'
import { insertSource, lockSource, sealedAnew, updateSource, wiped } from '../db/sources.ts'

/**
 * Opens the door for a connection's webhooks, keeps it as the connection is, and closes it when the connection is removed. The header and
 * the signing secret come among the credentials; of the address only the hash comes, and its owner has the rest.
 */
export const openSource = on('open-source', connectionChanged, async ({ event, app, tx }) => {
  const { organizationId, data } = event
  const { connectionId, accountId, displayName: name, webhook, revision } = data
  const provider = ProviderName.safeParse(data.provider)
  if (webhook === null || !provider.success) return
  const id = webhook.sourceId
  const source = await lockSource(tx, organizationId, id)
  if (source && source.connectionId !== connectionId) throw new Permanent('The webhook source belongs to something else.')
  if (source?.connectionRevision != null && source.connectionRevision >= revision) return

  if (data.credentials === null) {
    if (source) await updateSource(tx, organizationId, id, { ...wiped, status: 'disabled', connectionRevision: revision })
    return
  }
  const secrets = openCredentials(app.keys, credentialsPlace(organizationId, connectionId), data.credentials)
  const at = new Date(event.time)
  const header = sealedAnew(app.keys, organizationId, id, 'sealed_header', secrets['webhookHeader'], source, at)
  const signing = sealedAnew(app.keys, organizationId, id, 'sealed_signing', secrets['signingSecret'], source, at)
  const columns = {
    name,
    tokenHash: Buffer.from(webhook.tokenHash, 'hex'),
    headerName: webhook.headerName,
    sealedHeaderCurrent: header.current,
    sealedHeaderPrevious: header.previous,
    headerRotatedAt: header.rotatedAt,
    sealedSigningCurrent: signing.current,
    sealedSigningPrevious: signing.previous,
    signingRotatedAt: signing.rotatedAt,
    // Switched off, it takes nothing; its address and secrets stay for the day it is switched on again.
    status: data.status === 'inactive' ? ('disabled' as const) : ('active' as const),
    connectionRevision: revision,
  }
  if (source) await updateSource(tx, organizationId, id, columns)
  else await insertSource(tx, organizationId, { id, provider: provider.data, accountId, connectionId, ...columns })
})
