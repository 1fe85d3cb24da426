import type { ChatKind } from '@parley/contracts'
import { fitsSubject } from '../webhook/fields.ts'
import type { Delivery } from '../webhook/items.ts'

export interface WhapiDelivery extends Delivery {
  /** `channel_id`: the linked phone. */
  accountId: string
  receivedAt: string
  bodySha256: string
}

/** The fields that place an event in its chat, or null when the ids cannot be a subject on the bus. */
export function chatFields(delivery: WhapiDelivery, chatId: string) {
  const chatKey = `whatsapp:${delivery.accountId}:${chatId}`
  if (!fitsSubject(chatKey)) return null
  return { chatKey, channel: 'whatsapp' as const, provider: 'whapi' as const, accountId: delivery.accountId, chatId }
}

/** Newsletters, status updates and whatever suffix comes next count as broadcast: stored, never answered. */
export function chatKindOf(chatId: string): ChatKind {
  const suffix = chatId.slice(chatId.indexOf('@') + 1)
  if (suffix === 's.whatsapp.net' || suffix === 'lid' || suffix === 'c.us') return 'person'
  if (suffix === 'g.us') return 'group'
  return /^\d+$/.test(chatId) ? 'person' : 'broadcast'
}

const phoneDigits = /^[1-9]\d{5,14}$/

/**
 * Who wrote. `from` is bare digits: a phone number, unless they are the digits of the chat's own hidden id (@lid), behind
 * which no number is known (providers.md §1). The id keeps its kind, so that one never passes for the other.
 */
export function senderOf(from: string | null, chatId: string): { id: string; phone: string | null } {
  const written = from ?? chatId
  const at = written.indexOf('@')
  const local = at < 0 ? written : written.slice(0, at)
  const hidden = at < 0 ? chatId === `${written}@lid` : written.endsWith('@lid')
  if (hidden) return { id: `${local}@lid`, phone: null }
  const isPhone = phoneDigits.test(local) && (at < 0 || /@(s\.whatsapp\.net|c\.us)$/.test(written))
  return isPhone ? { id: `${local}@s.whatsapp.net`, phone: `+${local}` } : { id: written, phone: null }
}
