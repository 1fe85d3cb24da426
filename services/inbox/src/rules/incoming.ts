import type { ChatKind, ConversationStatus, MessageContent, MessageType, SenderKind } from '@parley/contracts'
import { type ConsentCommand, consentCommand } from './consent-command.ts'
import { isOwnChat } from './identity.ts'

/**
 * Who wrote a message that a provider reports.
 * `echo`: our own API call, or an origin that we do not know: taken for a person's, an echo of ours would silence the agent.
 */
export function writerOf(message: {
  fromUs: boolean
  origin: string | null
  type: MessageType
}): 'customer' | 'person' | 'provider' | 'echo' {
  if (message.type === 'system' || message.origin === 'system') return 'provider'
  if (!message.fromUs) return 'customer'
  return message.origin !== null && typedOrigins.has(message.origin.toLowerCase()) ? 'person' : 'echo'
}

/** Somebody of the shop at the linked phone or one of its companions. */
const typedOrigins = new Set(['mobile', 'web', 'desktop', 'phone', 'ios', 'android'])

/**
 * What a message commands about consent. Only a person's own chat commands anything; STOP is obeyed from whoever writes in it,
 * but restoring consent and erasing need the chat's own identity: `foreign` says that somebody else asked for it.
 */
export function commandOf(message: {
  writer: ReturnType<typeof writerOf>
  chatKind: ChatKind
  chatId: string
  sender: { id: string; phone: string | null }
  text: string | null
}): { command: ConsentCommand; foreign: boolean } {
  if (message.writer !== 'customer' || message.chatKind !== 'person') return { command: { kind: 'none' }, foreign: false }
  const command = consentCommand(message.text)
  const foreign = (command.kind === 'erase' || command.kind === 'start') && !isOwnChat(message.chatId, message.sender)
  return { command: foreign ? { kind: 'none' } : command, foreign }
}

/** A customer service window of 24 hours is WhatsApp's own measure of what still is a conversation. */
const answerWithinMs = 24 * 3_600_000

export interface IncomingFacts {
  sender: SenderKind
  chatKind: ChatKind
  type: MessageType
  command: ConsentCommand
  status: ConversationStatus
  consent: 'granted' | 'withdrawn' | null
  sentAt: Date
  now: Date
}

/** Whether an agent should answer. A message that comes days late is kept and read, but an answer now would startle. */
export function wantsReply(facts: IncomingFacts): boolean {
  if (facts.sender !== 'user' || facts.chatKind !== 'person' || facts.type === 'system') return false
  if (facts.command.kind === 'ask' ? facts.command.aboutData : facts.command.kind !== 'none') return false
  if (facts.status === 'with_person' || facts.consent === 'withdrawn') return false
  return facts.now.getTime() - facts.sentAt.getTime() <= answerWithinMs
}

/** Whether a second report of a message brings the address of a file that the first did not have. */
export function isFuller(known: MessageContent, again: MessageContent): boolean {
  return again.attachments.some((attachment, index) => attachment.url !== null && !known.attachments[index]?.url)
}
