import { type Tx, totalOf } from '@parley/runtime'
import type { Selectable } from 'kysely'
import type { Customers, DB } from './types.ts'

/** The name a customer goes by on the channel; an erased customer gets none. */
export async function renameCustomer(tx: Tx<DB>, organizationId: string, id: string, name: string, at: Date): Promise<void> {
  await tx
    .updateTable('customers')
    .set((set) => ({ name, updatedAt: at, version: set('version', '+', 1) }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .where('erasedAt', 'is', null)
    .execute()
}

const shown = ['id', 'kind', 'name', 'status', 'version', 'createdAt', 'updatedAt', 'erasedAt'] as const

export async function findCustomer(tx: Tx<DB>, organizationId: string, id: string) {
  return await tx
    .selectFrom('customers')
    .select(shown)
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** How a customer is known on the channels. */
export async function listIdentities(tx: Tx<DB>, organizationId: string, customerId: string) {
  return await tx
    .selectFrom('customerIdentities')
    .select(['channel', 'accountId', 'externalId', 'phone', 'createdAt'])
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .orderBy('createdAt')
    .limit(100)
    .execute()
}

export interface CustomerFilter {
  status?: Selectable<Customers>['status'] | undefined
  /** Part of a name. */
  name?: string | undefined
  phone?: string | undefined
}

/** One page of customers by when they first wrote, and how many there are. */
export async function listCustomers(
  tx: Tx<DB>,
  organizationId: string,
  filter: CustomerFilter,
  page: { limit: number; offset: number; order: 'asc' | 'desc' },
) {
  const { status, name, phone } = filter
  let query = tx.selectFrom('customers').where('organizationId', '=', organizationId)
  if (status !== undefined) query = query.where('status', '=', status)
  if (name !== undefined) query = query.where('name', 'ilike', `%${name.replace(/[\\%_]/g, '\\$&')}%`)
  if (phone !== undefined) {
    query = query.where((where) =>
      where.exists(
        where
          .selectFrom('customerIdentities as identity')
          .select('identity.id')
          .whereRef('identity.organizationId', '=', 'customers.organizationId')
          .whereRef('identity.customerId', '=', 'customers.id')
          .where('identity.phone', '=', phone),
      ),
    )
  }
  const rows = await query
    .select(shown)
    .orderBy('createdAt', page.order)
    .orderBy('id')
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const total = await totalOf(tx, query)
  return { rows, total }
}
