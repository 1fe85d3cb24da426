import type { Tx } from '@parley/runtime'
import type { DB } from './types.ts'

/** Remembers the highest version at which a person of the shop wrote in a conversation, took it over or closed it. */
export async function saveGuard(tx: Tx<DB>, organizationId: string, conversationId: string, version: number): Promise<void> {
  await tx
    .insertInto('conversationGuards')
    .values({ organizationId, conversationId, lastHumanVersion: version })
    .onConflict((conflict) =>
      conflict
        .columns(['organizationId', 'conversationId'])
        .doUpdateSet((eb) => ({ lastHumanVersion: eb.ref('excluded.lastHumanVersion') }))
        .whereRef('conversationGuards.lastHumanVersion', '<', 'excluded.lastHumanVersion'),
    )
    .execute()
}

/** Remembers since when a customer wants no messages on a channel. */
export async function saveWithdrawal(
  tx: Tx<DB>,
  organizationId: string,
  withdrawal: { customerId: string; channel: string; withdrawnAt: string },
): Promise<void> {
  await tx
    .insertInto('consentWithdrawals')
    .values({ organizationId, ...withdrawal })
    .onConflict((conflict) =>
      conflict
        .columns(['organizationId', 'customerId', 'channel'])
        .doUpdateSet((eb) => ({ withdrawnAt: eb.ref('excluded.withdrawnAt') })),
    )
    .execute()
}

export async function removeWithdrawal(tx: Tx<DB>, organizationId: string, customerId: string, channel: string): Promise<void> {
  await tx
    .deleteFrom('consentWithdrawals')
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .where('channel', '=', channel)
    .execute()
}

export async function removeGuards(
  tx: Tx<DB>,
  organizationId: string,
  customerId: string,
  conversationIds: readonly string[],
): Promise<void> {
  await tx
    .deleteFrom('consentWithdrawals')
    .where('organizationId', '=', organizationId)
    .where('customerId', '=', customerId)
    .execute()
  await tx
    .deleteFrom('conversationGuards')
    .where('organizationId', '=', organizationId)
    .where((eb) => eb('conversationId', '=', eb.fn.any(eb.val([...conversationIds]))))
    .execute()
}
