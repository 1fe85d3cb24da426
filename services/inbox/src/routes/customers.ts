import { Channel, ChatKind, Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { findCustomer, listCustomers, listIdentities } from '../db/customers.ts'
import { findErasure } from '../db/erasures.ts'
import { found, IdParams, iso, listOf, pageOf, PageQuery } from './shapes.ts'

const CustomerStatus = z.enum(['ORDERING', 'AT_RISK', 'STOPPED_ORDERING', 'NO_ORDERS_YET'])

const Customer = z.object({
  id: Id,
  kind: ChatKind,
  name: z.string().nullable(),
  status: CustomerStatus,
  version: z.int(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  erasedAt: Timestamp.nullable(),
})

type Row = NonNullable<Awaited<ReturnType<typeof findCustomer>>>

function customerOf(row: Row): z.infer<typeof Customer> {
  return { ...row, createdAt: row.createdAt.toISOString(), updatedAt: row.updatedAt.toISOString(), erasedAt: iso(row.erasedAt) }
}

export const getCustomers = route({
  method: 'GET',
  path: '/v1/customers',
  summary: 'List customers, the newest first.',
  scope: 'customers:read',
  personalData: 'customer',
  query: z.object({
    ...PageQuery,
    status: CustomerStatus.optional(),
    /** Part of a name. */
    name: z.string().trim().min(1).max(100).optional(),
    /** The whole number with its country code, `+33…`. */
    phone: z.string().trim().min(3).max(32).optional(),
  }),
  reply: listOf(Customer),
  async run({ query, caller, read }) {
    const { status, name, phone, page, limit } = query
    const { rows, total } = await read((tx) => listCustomers(tx, caller.organizationId, { status, name, phone }, pageOf(query)))
    return { items: rows.map(customerOf), total, page, limit }
  },
})

const Identity = z.object({
  channel: Channel,
  accountId: z.string(),
  externalId: z.string(),
  phone: z.string().nullable(),
  createdAt: Timestamp,
})

const Erasure = z.object({
  id: Id,
  conversationIds: z.array(Id),
  messageCount: z.int(),
  requestedAt: Timestamp,
  erasedAt: Timestamp,
  /** Set when the last message was emptied. */
  completedAt: Timestamp.nullable(),
})

export const getCustomer = route({
  method: 'GET',
  path: '/v1/customers/:id',
  summary: 'Read one customer, how they are known, and the receipt when their data was erased.',
  scope: 'customers:read',
  personalData: 'customer',
  refuses: { not_found: 'No customer with that id.' },
  params: IdParams,
  reply: Customer.extend({ identities: z.array(Identity), erasure: Erasure.nullable() }),
  async run({ params, caller, read }) {
    const { organizationId } = caller
    return await read(async (tx) => {
      const customer = found(await findCustomer(tx, organizationId, params.id), 'customer')
      const identities = await listIdentities(tx, organizationId, customer.id)
      const erasure = await findErasure(tx, organizationId, customer.id)
      return {
        ...customerOf(customer),
        identities: identities.map((identity) => ({ ...identity, createdAt: identity.createdAt.toISOString() })),
        erasure: erasure ? erasureOf(erasure) : null,
      }
    })
  },
})

function erasureOf(row: NonNullable<Awaited<ReturnType<typeof findErasure>>>): z.infer<typeof Erasure> {
  return {
    ...row,
    requestedAt: row.requestedAt.toISOString(),
    erasedAt: row.erasedAt.toISOString(),
    completedAt: iso(row.completedAt),
  }
}
