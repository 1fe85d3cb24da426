import { Id, Timestamp } from '@parley/contracts'
import { AppError, pageOf, pageQuery } from '@parley/runtime'
import { z } from 'zod'
import { route } from '../app.ts'
import { findTransaction, listTransactions, type Transaction } from '../db/billing.ts'
import { OverageLineView } from '../overage-view.ts'

const Type = z.enum(['subscription', 'overage', 'one_time', 'refund', 'credit'])
const Status = z.enum(['pending', 'failed', 'succeeded', 'refunded'])

const TransactionView = z.object({
  id: Id,
  subscriptionId: Id.nullable(),
  type: Type,
  status: Status,
  description: z.string(),
  /** Minor units; negative for what is given back. */
  amountMinor: z.int(),
  taxAmountMinor: z.int(),
  totalAmountMinor: z.int(),
  currency: z.string(),
  paymentMethod: z.string().nullable(),
  paymentProvider: z.string().nullable(),
  providerTransactionId: z.string().nullable(),
  /** `INV-<year>-<n>`, without gaps within an organization and year. */
  invoiceNumber: z.string(),
  invoiceUrl: z.string().nullable(),
  failureReason: z.string().nullable(),
  periodStart: Timestamp.nullable(),
  periodEnd: Timestamp.nullable(),
  lines: z.array(OverageLineView),
  /** Of a refund: the transaction whose money went back. */
  refundOf: Id.nullable(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  paidAt: Timestamp.nullable(),
})

export const getTransactions = route({
  method: 'GET',
  path: '/v1/billing/transactions',
  summary: 'Charges, credits and refunds, latest first.',
  scope: 'billing:read',
  query: z.strictObject({ ...pageQuery, type: Type.optional(), status: Status.optional() }),
  reply: pageOf(TransactionView),
  async run({ query: { page, limit, type, status }, caller, read }) {
    const filter = { type, status, limit, offset: (page - 1) * limit }
    const { items, total } = await read((tx) => listTransactions(tx, caller.organizationId, filter))
    return { items: items.map(view), page, limit, total }
  },
})

export const getTransaction = route({
  method: 'GET',
  path: '/v1/billing/transactions/:id',
  summary: 'One charge, credit or refund.',
  scope: 'billing:read',
  refuses: { not_found: 'No transaction with that id.' },
  params: z.strictObject({ id: Id }),
  reply: TransactionView,
  async run({ params, caller, read }) {
    const transaction = await read((tx) => findTransaction(tx, caller.organizationId, params.id))
    if (!transaction) throw new AppError('not_found', 'No transaction with that id.')
    return view(transaction)
  },
})

function view(transaction: Transaction): z.infer<typeof TransactionView> {
  const { organizationId: _, transactionId, ...rest } = transaction
  return {
    ...rest,
    id: transactionId,
    amountMinor: Number(rest.amountMinor),
    taxAmountMinor: Number(rest.taxAmountMinor),
    totalAmountMinor: Number(rest.totalAmountMinor),
    periodStart: rest.periodStart?.toISOString() ?? null,
    periodEnd: rest.periodEnd?.toISOString() ?? null,
    createdAt: rest.createdAt.toISOString(),
    updatedAt: rest.updatedAt.toISOString(),
    paidAt: rest.paidAt?.toISOString() ?? null,
  }
}
