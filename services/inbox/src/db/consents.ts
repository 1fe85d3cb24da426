import { randomUUIDv7 } from 'node:crypto'
import type { Channel } from '@parley/contracts'
import { type Tx, totalOf } from '@parley/runtime'
import type { Consents, DB } from './types.ts'

export interface ConsentStatement {
  customerId: string
  channel: Channel
  purpose: Consents['purpose']
  state: Consents['state']
  wording: string
  messageId: string
  statedAt: Date
  recordedAt: Date
}

/**
 * Adds to the consent log and moves the current state, unless something said later is known. `changed` is false when the
 * state was the same, or stays.
 */
export async function recordConsent(
  tx: Tx<DB>,
  organizationId: string,
  consent: ConsentStatement,
): Promise<{ changed: boolean }> {
  const { customerId, channel, purpose, state, statedAt } = consent
  const consentId = randomUUIDv7()
  const current = await tx
    .selectFrom('consentStates')
    .select(['state', 'statedAt'])
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .where('channel', '=', channel)
    .where('purpose', '=', purpose)
    .forNoKeyUpdate()
    .executeTakeFirst()
  const applied = current === undefined || current.statedAt.getTime() <= statedAt.getTime()
  await tx
    .insertInto('consents')
    .values({ organizationId, id: consentId, ...consent, applied })
    .execute()
  if (!applied) return { changed: false }
  await tx
    .insertInto('consentStates')
    .values({ organizationId, customerId, channel, purpose, state, statedAt, consentId })
    .onConflict((conflict) =>
      conflict.columns(['organizationId', 'customerId', 'channel', 'purpose']).doUpdateSet({ state, statedAt, consentId }),
    )
    .execute()
  return { changed: current?.state !== state }
}

/** What a customer allows now, where they said anything. */
export async function listConsentStates(tx: Tx<DB>, organizationId: string, customerId: string) {
  return await tx
    .selectFrom('consentStates')
    .select(['channel', 'purpose', 'state', 'statedAt'])
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .orderBy('channel')
    .orderBy('purpose')
    .limit(100)
    .execute()
}

export interface ConsentFilter {
  customerId?: string | undefined
  channel?: Channel | undefined
  purpose?: Consents['purpose'] | undefined
}

/** One page of the consent log by when we learned it, and how many entries there are. */
export async function listConsents(
  tx: Tx<DB>,
  organizationId: string,
  filter: ConsentFilter,
  page: { limit: number; offset: number; order: 'asc' | 'desc' },
) {
  let query = tx.selectFrom('consents').where('organizationId', '=', organizationId)
  if (filter.customerId !== undefined) query = query.where('customerId', '=', filter.customerId)
  if (filter.channel !== undefined) query = query.where('channel', '=', filter.channel)
  if (filter.purpose !== undefined) query = query.where('purpose', '=', filter.purpose)
  const rows = await query
    .select(['id', 'customerId', 'channel', 'purpose', 'state', 'wording', 'messageId', 'applied', 'statedAt', 'recordedAt'])
    .orderBy('recordedAt', page.order)
    .orderBy('id', page.order)
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const total = await totalOf(tx, query)
  return { rows, total }
}
