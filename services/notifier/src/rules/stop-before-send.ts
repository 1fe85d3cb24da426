import type { SenderKind } from '@parley/contracts'

/** What is known of a message at the moment before it goes out. */
export interface BeforeSend {
  sender: SenderKind
  /** The conversation version an agent's answer was computed on. Null: somebody wants it sent whatever happened. */
  basedOnVersion: number | null
  requestedAt: Date
  /** The version at which a person of the shop last wrote or took over, and when we last heard the customer say stop. */
  lastHumanVersion: number | null
  withdrawnAt: Date | null
}

export type Stop = 'overtaken_by_person' | 'no_consent'

/**
 * Why a message must not go out after all, or null. An agent's answer is overtaken when a person wrote at a later version than
 * it had read, and it is held back when we heard the customer's stop after it was asked for, or in the same millisecond: a stop
 * heard before is the conversation's business, which then asked on purpose (reliability.md A61). People and fixed confirmations
 * always go out.
 */
export function stopBeforeSend(message: BeforeSend): Stop | null {
  if (isOvertaken(message.basedOnVersion, message.lastHumanVersion)) return 'overtaken_by_person'
  if (message.sender === 'agent' && message.withdrawnAt !== null && message.withdrawnAt >= message.requestedAt)
    return 'no_consent'
  return null
}

function isOvertaken(basedOnVersion: number | null, lastHumanVersion: number | null): boolean {
  return basedOnVersion !== null && lastHumanVersion !== null && lastHumanVersion > basedOnVersion
}
