import type { Channel } from '@parley/contracts'

/** Who somebody is on one channel, as seen by one account of ours. */
export interface Identity {
  organizationId: string
  channel: Channel
  accountId: string
  externalId: string
}

/**
 * Whether the writer of a message is the person whose chat it is: only then may it restore consent or erase data
 * (reliability.md A59). Numbers are compared by their digits; a hidden id (@lid) never equals a phone number of the same
 * digits.
 */
export function isOwnChat(chatId: string, sender: { id: string; phone: string | null }): boolean {
  const chat = partsOf(chatId)
  const writer = partsOf(sender.id)
  if (chat.local === writer.local && chat.kind === writer.kind) return true
  return chat.kind === 'phone' && sender.phone !== null && sender.phone.replace(/\D/g, '') === chat.local
}

function partsOf(id: string): { local: string; kind: string } {
  const [head = '', suffix = ''] = id.split('@')
  // A linked device writes as `number:device`.
  const local = head.replace(/^\+/, '').replace(/:\d+$/, '')
  const isPhone = suffix === 's.whatsapp.net' || suffix === 'c.us' || (suffix === '' && /^\d+$/.test(local))
  return { local, kind: isPhone ? 'phone' : suffix }
}
