import type { ConversationStatus } from '@parley/contracts'
import { botLoop } from './bot-loop.ts'

export interface ReplyFacts {
  conversation: {
    status: ConversationStatus
    lastHumanVersion: number
    handedOverTurnId: string | null
    agentReplyTimes: readonly Date[]
    erasedAt: Date | null
    consent: 'granted' | 'withdrawn' | null
  }
  reply: { turnId: string; basedOnVersion: number; text: string; handOver: boolean }
  now: Date
}

export type DropReason = 'erased' | 'no_consent' | 'overtaken_by_person' | 'with_person' | 'closed' | 'bot_loop' | 'empty'

/**
 * Whether an agent's draft may still go out: not over a person who answered after the agent had read the conversation
 * (or who has taken it), not against the customer's word, not as one more round of two machines.
 */
export function replyStillFits({ conversation, reply, now }: ReplyFacts): { fits: true } | { fits: false; reason: DropReason } {
  const reason = objection({ conversation, reply, now })
  return reason === undefined ? { fits: true } : { fits: false, reason }
}

function objection({ conversation, reply, now }: ReplyFacts): DropReason | undefined {
  if (conversation.erasedAt !== null) return 'erased'
  if (conversation.consent === 'withdrawn') return 'no_consent'
  if (conversation.lastHumanVersion > reply.basedOnVersion) return 'overtaken_by_person'
  if (conversation.status === 'closed') return 'closed'
  // The turn that handed the conversation over may still tell the customer so.
  if (conversation.status === 'with_person' && conversation.handedOverTurnId !== reply.turnId) return 'with_person'
  if (reply.text.trim() === '') return 'empty'
  if (!reply.handOver && botLoop(conversation.agentReplyTimes, now)) return 'bot_loop'
  return undefined
}
