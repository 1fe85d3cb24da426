import { Channel, Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { route } from '../app.ts'
import { listConsents, listConsentStates } from '../db/consents.ts'
import { findCustomer } from '../db/customers.ts'
import { found, IdParams, listOf, pageOf, PageQuery } from './shapes.ts'

const Purpose = z.enum(['conversation', 'marketing'])
const State = z.enum(['granted', 'withdrawn'])

const Consent = z.object({
  id: Id,
  customerId: Id,
  channel: Channel,
  purpose: Purpose,
  state: State,
  /** The command as it was recognised; the message holds the words. */
  wording: z.string(),
  messageId: Id,
  /** False when something said later was known already. */
  applied: z.boolean(),
  statedAt: Timestamp,
  recordedAt: Timestamp,
})

type Row = Awaited<ReturnType<typeof listConsents>>['rows'][number]

function consentOf(row: Row): z.infer<typeof Consent> {
  return { ...row, statedAt: row.statedAt.toISOString(), recordedAt: row.recordedAt.toISOString() }
}

const filters = { channel: Channel.optional(), purpose: Purpose.optional() }

export const getConsents = route({
  method: 'GET',
  path: '/v1/consents',
  also: ['GET /rest/v1/consent_logs'],
  summary: 'Read the consent log, the latest first.',
  scope: 'consents:read',
  personalData: 'consent',
  query: z.object({
    ...PageQuery,
    ...filters,
    customerId: Id.optional(),
    /** The same as customerId, by its older name. */
    user_id: Id.optional(),
  }),
  reply: listOf(Consent),
  async run({ query, caller, read }) {
    const { channel, purpose, page, limit } = query
    const filter = { channel, purpose, customerId: query.customerId ?? query.user_id }
    const { rows, total } = await read((tx) => listConsents(tx, caller.organizationId, filter, pageOf(query)))
    return { items: rows.map(consentOf), total, page, limit }
  },
})

export const getConsentsOfCustomer = route({
  method: 'GET',
  path: '/v1/customers/:id/consents',
  summary: 'Read what a customer allows now, and the log that proves it.',
  scope: 'consents:read',
  personalData: 'consent',
  refuses: { not_found: 'No customer with that id.' },
  params: IdParams,
  query: z.object({ ...PageQuery, ...filters }),
  reply: listOf(Consent).extend({
    /** Where a customer said nothing, there is no entry. */
    current: z.array(z.object({ channel: Channel, purpose: Purpose, state: State, statedAt: Timestamp })),
  }),
  async run({ params, query, caller, read }) {
    const { organizationId } = caller
    const { channel, purpose, page, limit } = query
    return await read(async (tx) => {
      const { id: customerId } = found(await findCustomer(tx, organizationId, params.id), 'customer')
      const states = await listConsentStates(tx, organizationId, customerId)
      const { rows, total } = await listConsents(tx, organizationId, { channel, purpose, customerId }, pageOf(query))
      const current = states.map((state) => ({ ...state, statedAt: state.statedAt.toISOString() }))
      return { items: rows.map(consentOf), total, page, limit, current }
    })
  },
})
