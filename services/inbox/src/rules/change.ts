import type { ChatKind, SenderKind } from '@parley/contracts'

export interface ChangedMessage {
  sender: SenderKind
  senderId: string | null
  chatKind: ChatKind
}

/**
 * Whether somebody may edit or delete a message: its writer may, on either side, and nobody else. In a group the writer is one of many; in a
 * chat with one person the side is enough. No author: the provider itself says what became of it.
 */
export function mayChange(message: ChangedMessage, author: { id: string; fromUs: boolean } | undefined): boolean {
  if (author === undefined) return true
  if (author.fromUs !== (message.sender !== 'user')) return false
  return author.fromUs || message.chatKind === 'person' || message.senderId === author.id
}
