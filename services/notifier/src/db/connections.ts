import type { Tx } from '@parley/runtime'
import type { Connections, DB } from './types.ts'

/** Notes what was told of a connection. False: it is not newer than what is known. */
export async function noteConnection(
  tx: Tx<DB>,
  organizationId: string,
  told: Omit<Connections, 'organizationId'>,
): Promise<boolean> {
  const { connectionId, accountId, status, revision } = told
  const noted = await tx
    .insertInto('connections')
    .values({ organizationId, connectionId, accountId, status, revision })
    .onConflict((conflict) =>
      conflict
        .columns(['organizationId', 'connectionId'])
        .doUpdateSet({ accountId, status, revision })
        .where('connections.revision', '<', revision),
    )
    .executeTakeFirst()
  return noted.numInsertedOrUpdatedRows === 1n
}
