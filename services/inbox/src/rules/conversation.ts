import type { ChatKind, ConversationStatus, SenderKind } from '@parley/contracts'

/** The status a conversation has after a message: a person who writes takes it, a customer who writes reopens it. */
export function statusAfterMessage(
  status: ConversationStatus,
  message: { sender: SenderKind; chatKind: ChatKind },
): ConversationStatus {
  if (message.chatKind !== 'person') return status === 'closed' && message.sender === 'user' ? 'open' : status
  if (message.sender === 'human') return 'with_person'
  if (message.sender === 'user' && status === 'closed') return 'open'
  return status
}

/** When something is read: as the provider says, but never in the future, where it would stand below all that follows. */
export function orderedAtIncoming(sentAt: Date, now: Date): Date {
  return sentAt.getTime() > now.getTime() ? now : sentAt
}

/** An answer never stands above what it answers, however the provider's clock differs from ours. */
export function orderedAtOutgoing(lastMessageAt: Date | null, now: Date): Date {
  return lastMessageAt !== null && lastMessageAt.getTime() > now.getTime() ? lastMessageAt : now
}

/** Whether something sent at `sentAt` belongs to the person who was erased up to `erasedBefore`. */
export function isErased(sentAt: Date, erasedBefore: Date | null): boolean {
  return erasedBefore !== null && sentAt.getTime() <= erasedBefore.getTime()
}

const handOverReasons = [
  'asked_for_person',
  'model_unsure',
  'model_failed',
  'budget_spent',
  'bot_loop',
  'limit_reached',
  'came_too_late',
] as const
export type HandOverReason = (typeof handOverReasons)[number] | 'person_took_over'

/** A turn's own words for handing over, as one of the reasons that others can act on. */
export function handOverReason(reason: string | null): (typeof handOverReasons)[number] {
  if (reason === 'messages_used_up' || reason === 'customers_used_up') return 'limit_reached'
  return handOverReasons.find((known) => known === reason) ?? 'model_unsure'
}
