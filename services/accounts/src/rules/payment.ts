/** A transaction's way, in this order. */
export type TransactionStatus = 'pending' | 'failed' | 'succeeded' | 'refunded'

const rank: Record<TransactionStatus, number> = { pending: 0, failed: 1, succeeded: 2, refunded: 3 }
const said = {
  'payment.succeeded': 'succeeded',
  'payment.failed': 'failed',
  'payment.refunded': 'refunded',
} as const

/**
 * The status after a provider's word. It only ever rises, so the words may come in any order: a failed attempt that is reported after
 * the successful one, or before, changes nothing about the money being there; money given back stays given back.
 */
export function statusAfterPayment(current: TransactionStatus, type: keyof typeof said): TransactionStatus {
  const next = said[type]
  return rank[next] > rank[current] ? next : current
}
