import type { MessageStatus } from '@parley/contracts'

/**
 * A total order, so that reports leave the same status in whatever order they come: the highest wins, a late one is only
 * recorded. What was delivered cannot have failed, whichever report comes first; `deleted` ends a message from any state.
 */
const ranks: Record<MessageStatus, number> = {
  received: 0,
  queued: 0,
  pending: 10,
  sent: 20,
  failed: 25,
  delivered: 30,
  read: 40,
  played: 50,
  dropped: 70,
  deleted: 80,
}

/** A failure that only means "we do not know": any later sign of life from the provider proves it wrong. */
const uncertainFailureRank = 15

/** How far a status has got. `uncertain` marks a failure whose outcome at the provider is unknown. */
export function statusRank(status: MessageStatus, uncertain = false): number {
  return status === 'failed' && uncertain ? uncertainFailureRank : ranks[status]
}

export interface StatusReport {
  status: MessageStatus
  uncertain?: boolean
}

/** Whether a reported status becomes the message's status, or is only recorded. */
export function statusTransition(current: StatusReport, next: StatusReport): 'apply' | 'record' {
  return statusRank(next.status, next.uncertain) > statusRank(current.status, current.uncertain) ? 'apply' : 'record'
}
