import type { Tx } from '@parley/runtime'
import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import type { BillingTransactions, DB, TransactionType } from './types.ts'

export type Transaction = Selectable<BillingTransactions>

/**
 * The next invoice number of an organization, `INV-<year>-<n>`. Its row stays locked until the commit, so numbers have no gaps: who
 * rolls back gives the number back.
 */
async function takeInvoiceNumber(tx: Tx<DB>, organizationId: string, at: Date): Promise<string> {
  const year = at.getUTCFullYear()
  const { rows } = await sql<{ last: number }>`
    insert into invoice_counters as c (organization_id, year, last) values (${organizationId}, ${year}, 1)
    on conflict (organization_id, year) do update set last = c.last + 1
    returning last`.execute(tx)
  return `INV-${year}-${rows[0]?.last}`
}

export type NewTransaction = Omit<
  Insertable<BillingTransactions>,
  'organizationId' | 'invoiceNumber' | 'taxAmountMinor' | 'updatedAt' | 'createdAt'
> & { at: Date }

/** Writes a transaction under the next invoice number. */
export async function insertTransaction(
  tx: Tx<DB>,
  organizationId: string,
  { at, ...transaction }: NewTransaction,
): Promise<void> {
  const invoiceNumber = await takeInvoiceNumber(tx, organizationId, at)
  await tx
    .insertInto('billingTransactions')
    .values({ organizationId, ...transaction, taxAmountMinor: 0, invoiceNumber, createdAt: at, updatedAt: at })
    .execute()
}

export async function findTransaction(tx: Tx<DB>, organizationId: string, id: string): Promise<Transaction | undefined> {
  return await tx
    .selectFrom('billingTransactions')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('transactionId', '=', id)
    .executeTakeFirst()
}

/** As `findTransaction`, held until the commit. */
export async function lockTransaction(tx: Tx<DB>, organizationId: string, id: string): Promise<Transaction | undefined> {
  return await tx
    .selectFrom('billingTransactions')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('transactionId', '=', id)
    .forUpdate()
    .executeTakeFirst()
}

export async function changeTransaction(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  change: Pick<
    Updateable<BillingTransactions>,
    | 'status'
    | 'paymentMethod'
    | 'paymentProvider'
    | 'providerTransactionId'
    | 'invoiceUrl'
    | 'failureReason'
    | 'paidAt'
    | 'updatedAt'
  >,
): Promise<void> {
  await tx
    .updateTable('billingTransactions')
    .set(change)
    .where('organizationId', '=', organizationId)
    .where('transactionId', '=', id)
    .execute()
}

/** True while a charge of the subscription has failed and not been made good. */
export async function hasFailedCharge(tx: Tx<DB>, organizationId: string, subscriptionId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('billingTransactions')
    .select('transactionId')
    .where('organizationId', '=', organizationId)
    .where('subscriptionId', '=', subscriptionId)
    .where('status', '=', 'failed')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** True when the provider's refund of that id is in the books. */
export async function hasRefund(tx: Tx<DB>, organizationId: string, provider: string, refundId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('billingTransactions')
    .select('transactionId')
    .where('organizationId', '=', organizationId)
    .where('type', '=', 'refund')
    .where('paymentProvider', '=', provider)
    .where('providerTransactionId', '=', refundId)
    .executeTakeFirst()
  return row !== undefined
}

/** What of a transaction went back so far. */
export async function sumRefunds(tx: Tx<DB>, organizationId: string, transactionId: string): Promise<number> {
  const { refunded } = await tx
    .selectFrom('billingTransactions')
    .select((eb) => eb.fn.sum<string | null>('amountMinor').as('refunded'))
    .where('organizationId', '=', organizationId)
    .where('refundOf', '=', transactionId)
    .executeTakeFirstOrThrow()
  return -Number(refunded ?? 0)
}

export interface TransactionFilter {
  type: TransactionType | undefined
  status: Transaction['status'] | undefined
  limit: number
  offset: number
}

/** Transactions, latest first, and how many there are. */
export async function listTransactions(
  tx: Tx<DB>,
  organizationId: string,
  filter: TransactionFilter,
): Promise<{ items: Transaction[]; total: number }> {
  let matching = tx.selectFrom('billingTransactions').where('organizationId', '=', organizationId)
  if (filter.type !== undefined) matching = matching.where('type', '=', filter.type)
  if (filter.status !== undefined) matching = matching.where('status', '=', filter.status)
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  const items = await matching
    .selectAll()
    .orderBy('createdAt', 'desc')
    .orderBy('transactionId', 'desc')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  return { items, total: Number(total) }
}

/** Notes a provider's event; false when it was noted before. */
export async function notePaymentEvent(
  tx: Tx<DB>,
  organizationId: string,
  event: { provider: string; eventId: string; type: string; transactionId: string | null; occurredAt: Date; receivedAt: Date },
): Promise<boolean> {
  const inserted = await tx
    .insertInto('paymentEvents')
    .values({ organizationId, ...event })
    .onConflict((conflict) => conflict.doNothing())
    .returning('eventId')
    .executeTakeFirst()
  return inserted !== undefined
}
