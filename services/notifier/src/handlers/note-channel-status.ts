import { channelStatusChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { noteLink } from '../db/channels.ts'

/** The provider's health report of the phone behind a channel. It changes nothing for the token, so the channel stays as it is. */
export const noteChannelStatus = on('note-channel-status', channelStatusChanged, async ({ event, tx }) => {
  const { channel, accountId, status, needsPerson, changedAt } = event.data
  if (channel !== 'whatsapp') return
  await noteLink(tx, event.organizationId, { accountId, status, needsPerson, changedAt })
})
