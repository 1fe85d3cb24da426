import { hash } from 'node:crypto'

/**
 * Names a chat in job keys and effect targets. Those outlive an erasure for a while and are read by operators, so a phone number
 * does not belong there.
 */
export function chatDigest(accountId: string, chatId: string): string {
  return hash('sha256', JSON.stringify([accountId, chatId]), 'base64url').slice(0, 32)
}
