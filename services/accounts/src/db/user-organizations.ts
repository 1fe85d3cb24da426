import type { Tx } from '@parley/runtime'
import type { DB } from './types.ts'

/** Most organizations that one person can be a member of, which bounds every list of them. */
export const mostOrganizations = 50

export async function addUserOrganization(tx: Tx<DB>, userId: string, memberOf: string): Promise<void> {
  await tx
    .insertInto('userOrganizations')
    .values({ userId, memberOf })
    .onConflict((conflict) => conflict.columns(['userId', 'memberOf']).doNothing())
    .execute()
}

export async function removeUserOrganization(tx: Tx<DB>, userId: string, memberOf: string): Promise<void> {
  await tx.deleteFrom('userOrganizations').where('userId', '=', userId).where('memberOf', '=', memberOf).execute()
}

/** Ids of the organizations that a person is a member of (also a suspended one), first joined first. */
export async function listUserOrganizations(tx: Tx<DB>, userId: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('userOrganizations')
    .select('memberOf')
    .where('userId', '=', userId)
    .orderBy('joinedAt')
    .orderBy('memberOf')
    .limit(mostOrganizations)
    .execute()
  return rows.map((row) => row.memberOf)
}
