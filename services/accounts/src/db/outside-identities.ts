import type { Tx } from '@parley/runtime'
import type { DB } from './types.ts'

/** Whose identity at an outside issuer this is. */
export async function findOutsideUser(tx: Tx<DB>, issuer: string, subject: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('outsideIdentities')
    .select('userId')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return row?.userId
}

/** Gives an outside identity to a person; one that has an owner already keeps it. Resolves with the owner. */
export async function linkOutsideIdentity(tx: Tx<DB>, issuer: string, subject: string, userId: string): Promise<string> {
  const row = await tx
    .insertInto('outsideIdentities')
    .values({ issuer, subject, userId })
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doUpdateSet({ issuer }))
    .returning('userId')
    .executeTakeFirstOrThrow()
  return row.userId
}
