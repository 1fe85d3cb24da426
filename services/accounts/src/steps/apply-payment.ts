import { randomUUIDv7 } from 'node:crypto'
import type { PaymentEvent } from '@parley/providers/payments'
import { AppError, type CommitTools, type Tx } from '@parley/runtime'
import type { App } from '../app.ts'
import {
  changeTransaction,
  hasFailedCharge,
  hasRefund,
  insertTransaction,
  lockTransaction,
  notePaymentEvent,
  sumRefunds,
  type Transaction,
} from '../db/billing.ts'
import { changeSubscription, lockSubscription, type Subscription } from '../db/subscriptions.ts'
import type { DB } from '../db/types.ts'
import { statusAfterPayment } from '../rules/payment.ts'
import { endSubscription, startSubscription, state } from './subscription.ts'

export type PaymentOutcome = 'applied' | 'duplicate' | 'ignored'

/**
 * Writes what a payment provider says into the books, once per event and whatever the order. What names a transaction that we do not
 * have, or another amount, is refused without a trace, so that the provider says it again and somebody looks.
 */
export async function applyPayment(
  tx: Tx<DB>,
  tools: CommitTools,
  app: App,
  provider: string,
  event: PaymentEvent,
): Promise<PaymentOutcome> {
  const { organizationId, eventId, type, transactionId } = event
  // The subscription first, here as in every change of a plan: two that lock in the same order do not wait in a ring.
  const subscription = await lockSubscription(tx, organizationId)
  const now = app.now()
  const note = { provider, eventId, type, transactionId, occurredAt: new Date(event.occurredAt), receivedAt: now }
  if (!(await notePaymentEvent(tx, organizationId, note))) return 'duplicate'
  if (type === 'subscription.cancelled') return await cancel(tx, tools, app, subscription, event)
  const transaction = transactionId === null ? undefined : await lockTransaction(tx, organizationId, transactionId)
  if (!transaction) throw new AppError('unprocessable', 'No transaction with that id.')
  if (event.currency !== transaction.currency) throw new AppError('unprocessable', 'The transaction is in another currency.')
  if (type === 'payment.refunded') await refund(tx, tools, provider, transaction, event, now)
  else await settle(tx, tools, provider, transaction, { ...event, type }, now)
  if (subscription?.subscriptionId === transaction.subscriptionId) await dun(tx, tools, subscription, now)
  return 'applied'
}

async function settle(
  tx: Tx<DB>,
  { audit }: CommitTools,
  provider: string,
  transaction: Transaction,
  event: PaymentEvent & { type: 'payment.succeeded' | 'payment.failed' },
  now: Date,
): Promise<void> {
  const { organizationId, transactionId, status } = transaction
  if (event.type === 'payment.succeeded' && event.amountMinor !== Number(transaction.totalAmountMinor)) {
    throw new AppError('unprocessable', 'The transaction is about another amount.')
  }
  const next = statusAfterPayment(status, event.type)
  // Paid back before we heard that it was paid: when it was is still worth knowing.
  const paidAt = event.type === 'payment.succeeded' && transaction.paidAt === null ? { paidAt: new Date(event.occurredAt) } : {}
  const isNews = next !== status
  if (!isNews && transaction.paidAt !== null) return
  await changeTransaction(tx, organizationId, transactionId, {
    ...paidAt,
    ...(isNews ? { status: next, failureReason: next === 'failed' ? event.reason : null } : {}),
    paymentMethod: event.paymentMethod ?? transaction.paymentMethod,
    paymentProvider: provider,
    providerTransactionId: event.providerTransactionId ?? transaction.providerTransactionId,
    invoiceUrl: event.invoiceUrl ?? transaction.invoiceUrl,
    updatedAt: now,
  })
  if (!isNews) return
  audit({
    resourceType: 'transaction',
    resourceId: transactionId,
    before: { status },
    after: { status: next },
    reason: event.reason,
  })
}

/** Each refund is a transaction of its own; the refunded one says so once all of it went back. */
async function refund(
  tx: Tx<DB>,
  { audit }: CommitTools,
  provider: string,
  transaction: Transaction,
  event: PaymentEvent,
  now: Date,
): Promise<void> {
  const { organizationId, transactionId, subscriptionId, currency, status, invoiceNumber } = transaction
  const refundId = event.providerTransactionId
  // Told of twice under two event ids, as providers do when a refund changes its state.
  if (refundId !== null && (await hasRefund(tx, organizationId, provider, refundId))) return
  const total = Number(transaction.totalAmountMinor)
  const refunded = (await sumRefunds(tx, organizationId, transactionId)) + event.amountMinor
  if (event.amountMinor === 0 || refunded > total)
    throw new AppError('unprocessable', 'More is refunded than was charged, or nothing.')
  const id = randomUUIDv7()
  await insertTransaction(tx, organizationId, {
    transactionId: id,
    subscriptionId,
    type: 'refund',
    status: 'succeeded',
    description: `Refund of ${invoiceNumber}`,
    amountMinor: -event.amountMinor,
    currency,
    paymentMethod: event.paymentMethod,
    paymentProvider: provider,
    providerTransactionId: event.providerTransactionId,
    refundOf: transactionId,
    paidAt: new Date(event.occurredAt),
    at: now,
  })
  const after = { type: 'refund', amountMinor: -event.amountMinor, refundOf: transactionId }
  audit({ resourceType: 'transaction', resourceId: id, before: null, after, reason: event.reason })
  if (refunded < total) return
  const next = statusAfterPayment(status, 'payment.refunded')
  await changeTransaction(tx, organizationId, transactionId, { status: next, updatedAt: now })
  audit({ resourceType: 'transaction', resourceId: transactionId, before: { status }, after: { status: next } })
}

/** A subscription is past due exactly while one of its charges has failed: derived each time, so that no order of events matters. */
async function dun(tx: Tx<DB>, tools: CommitTools, subscription: Subscription | undefined, now: Date): Promise<void> {
  if (!subscription || (subscription.status !== 'active' && subscription.status !== 'past_due')) return
  const { organizationId, subscriptionId, status, plan } = subscription
  const next = (await hasFailedCharge(tx, organizationId, subscriptionId)) ? 'past_due' : 'active'
  if (next === status) return
  await changeSubscription(tx, organizationId, subscriptionId, { status: next })
  tools.audit({ resourceType: 'subscription', resourceId: subscriptionId, before: { status }, after: { status: next } })
  state(tools, subscription, next, plan, now)
}

/** The provider gave up on the money: the subscription ends at once. One that ended already stays as it is. */
async function cancel(
  tx: Tx<DB>,
  tools: CommitTools,
  app: App,
  subscription: Subscription | undefined,
  event: PaymentEvent,
): Promise<PaymentOutcome> {
  if (!subscription || subscription.subscriptionId !== event.subscriptionId) return 'ignored'
  const { organizationId, plan } = subscription
  const at = app.now()
  await endSubscription(tx, tools, organizationId, subscription, { at, credit: false, reason: event.reason })
  state(tools, subscription, 'cancelled', plan, at)
  await startSubscription(tx, tools, app, organizationId, { plan: 'free', cycle: 'monthly', previousPlan: plan })
  return 'applied'
}
