import { hash } from 'node:crypto'
import { connectionChanged, connectionReported } from '@parley/contracts'
import { credentialsPlace, isSealedWithOldKey, openCredentials, openText, sealText } from '@parley/runtime'
import { on } from '../app.ts'
import { closeChannel, lockChannel, refreshSeal, saveChannel, tokenPlace } from '../db/channels.ts'
import { lockConnection, saveConnection } from '../db/connections.ts'
import { resumeChannel } from '../jobs/resume-channel.ts'

/**
 * Keeps the channel of a WhatsApp connection as the connection is: a new token is used from the next message on, and what waited for it
 * goes out. The token is sealed here anew, in our own row: messages go out while accounts is away.
 */
export const adoptConnection = on('adopt-connection', connectionChanged, async ({ event, app, tx, later, emit }) => {
  const { organizationId, data } = event
  const { connectionId, accountId, status, settings, credentials, revision } = data
  if (data.provider !== 'whapi' || accountId === null) return
  const before = await lockConnection(tx, organizationId, connectionId)
  if (before && before.revision >= revision) return
  const credentialsHash = credentials && hash('sha256', credentials.sealed)
  await saveConnection(tx, { organizationId, connectionId, accountId, status, revision, credentialsHash })

  const channel = await lockChannel(tx, organizationId, accountId)
  if (credentials === null) {
    // The account may have another connection, or a token of its own, by now.
    if (channel?.connectionId !== connectionId) return
    await closeChannel(tx, organizationId, accountId, 'Its connection was removed.')
    later(resumeChannel, { accountId, after: '' })
    return
  }
  const baseUrl = typeof settings['baseUrl'] === 'string' ? new URL(settings['baseUrl']).origin : app.gateways[0]
  if (baseUrl === undefined || !app.gateways.includes(baseUrl)) {
    const detail = 'Its gateway is not one of those that the operator allows for messages.'
    emit(connectionReported, { connectionId, outcome: 'failed', detail, rateLimit: null, at: event.time })
    return
  }
  const place = tokenPlace(organizationId, accountId)
  const token = openCredentials(app.keys, credentialsPlace(organizationId, connectionId), credentials)['token']
  if (token === undefined) throw new TypeError('A WhatsApp connection was told without its token.')
  const perSecond = typeof settings['perSecond'] === 'number' ? settings['perSecond'] : null
  const disabled = status === 'inactive'
  // A refused token goes on waiting for another, until somebody gave it anew: then it is tried once more.
  const isSame =
    before?.credentialsHash === credentialsHash &&
    channel?.connectionId === connectionId &&
    channel.baseUrl === baseUrl &&
    channel.perSecond === perSecond &&
    (channel.status === 'disabled') === disabled &&
    channel.sealedToken !== null &&
    openText(app.keys, place, channel.sealedToken) === token
  if (isSame) {
    if (channel.sealedToken !== null && isSealedWithOldKey(app.keys, channel.sealedToken)) {
      await refreshSeal(tx, organizationId, accountId, sealText(app.keys, place, token))
    }
    return
  }
  const sealedToken = sealText(app.keys, place, token)
  await saveChannel(tx, organizationId, { accountId, baseUrl, sealedToken, perSecond, disabled, connectionId })
  later(resumeChannel, { accountId, after: '' })
})
