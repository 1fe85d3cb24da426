import type { Plan, SubscriptionStatus } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import type { Insertable, Selectable } from 'kysely'
import type { DB, Subscriptions } from './types.ts'

export type Subscription = Selectable<Subscriptions>

export async function insertSubscription(
  tx: Tx<DB>,
  organizationId: string,
  subscription: Omit<Insertable<Subscriptions>, 'organizationId'>,
): Promise<void> {
  await tx
    .insertInto('subscriptions')
    .values({ organizationId, ...subscription })
    .execute()
}

/** The subscription that an organization has now, if any. */
export async function findSubscription(tx: Tx<DB>, organizationId: string): Promise<Subscription | undefined> {
  return await tx
    .selectFrom('subscriptions')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('endedAt', 'is', null)
    .executeTakeFirst()
}

/** As `findSubscription`, held until the commit. */
export async function lockSubscription(tx: Tx<DB>, organizationId: string): Promise<Subscription | undefined> {
  return await tx
    .selectFrom('subscriptions')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('endedAt', 'is', null)
    .forUpdate()
    .executeTakeFirst()
}

/** All there were, latest first. */
export async function listSubscriptions(tx: Tx<DB>, organizationId: string, limit: number): Promise<Subscription[]> {
  return await tx
    .selectFrom('subscriptions')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .orderBy('startedAt', 'desc')
    .orderBy('subscriptionId', 'desc')
    .limit(limit)
    .execute()
}

/** The plan that was in force at that moment; undefined before the first one. */
export async function findPlanAt(tx: Tx<DB>, organizationId: string, at: Date): Promise<Plan | undefined> {
  const row = await tx
    .selectFrom('subscriptions')
    .select('plan')
    .where('organizationId', '=', organizationId)
    .where('startedAt', '<', at)
    .where((where) => where.or([where('endedAt', 'is', null), where('endedAt', '>=', at)]))
    .orderBy('startedAt', 'desc')
    .executeTakeFirst()
  return row?.plan
}

/** True when the organization has had its one trial. */
export async function hadTrial(tx: Tx<DB>, organizationId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('subscriptions')
    .select('subscriptionId')
    .where('organizationId', '=', organizationId)
    .where('trialEndsAt', 'is not', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export interface SubscriptionChange {
  status?: SubscriptionStatus
  endedAt?: Date
  cancelledAt?: Date | null
  cancellationReason?: string | null
  periodStart?: Date
  periodEnd?: Date
}

export async function changeSubscription(
  tx: Tx<DB>,
  organizationId: string,
  subscriptionId: string,
  change: SubscriptionChange,
): Promise<void> {
  await tx
    .updateTable('subscriptions')
    .set(change)
    .where('organizationId', '=', organizationId)
    .where('subscriptionId', '=', subscriptionId)
    .execute()
}
