import type { Tx } from '@parley/runtime'
import type { Connections, DB } from './types.ts'

/** What is known of a connection, held until the commit. Events of one connection come one after another, so nobody else makes it. */
export async function lockConnection(tx: Tx<DB>, organizationId: string, connectionId: string): Promise<Connections | undefined> {
  return tx
    .selectFrom('connections')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('connectionId', '=', connectionId)
    .forUpdate()
    .executeTakeFirst()
}

export async function saveConnection(tx: Tx<DB>, connection: Connections): Promise<void> {
  const { organizationId: _, connectionId: __, ...change } = connection
  await tx
    .insertInto('connections')
    .values(connection)
    .onConflict((conflict) => conflict.columns(['organizationId', 'connectionId']).doUpdateSet(change))
    .execute()
}
