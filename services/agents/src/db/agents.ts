import type { Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import type { Agents, DB } from './types.ts'

export type Agent = Selectable<Agents>

export async function findAgent(tx: Tx<DB>, organizationId: string, id: string): Promise<Agent | undefined> {
  return tx.selectFrom('agents').selectAll().where('organizationId', '=', organizationId).where('id', '=', id).executeTakeFirst()
}

/** The agent, held until the commit: what was before a change is what the change found. */
export async function lockAgent(tx: Tx<DB>, organizationId: string, id: string): Promise<Agent | undefined> {
  return tx
    .selectFrom('agents')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
}

async function findDefaultAgent(tx: Tx<DB>, organizationId: string): Promise<Agent | undefined> {
  const { rows } = await sql<Agent>`select * from agents where organization_id = ${organizationId} and is_default`.execute(tx)
  return rows[0]
}

/** The default agent, made with plain settings when the organization has none yet. Safe when two make it at once. */
export async function ensureDefaultAgent(tx: Tx<DB>, organizationId: string, newId: string): Promise<Agent> {
  const known = await findDefaultAgent(tx, organizationId)
  if (known) return known
  await tx
    .insertInto('agents')
    .values({ organizationId, id: newId, isDefault: true, name: 'Assistant' })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const made = await findDefaultAgent(tx, organizationId)
  if (!made) throw new Error('The default agent was neither found nor made.')
  return made
}

export async function listAgents(
  tx: Tx<DB>,
  organizationId: string,
  slice: { limit: number; offset: number },
): Promise<{ items: Agent[]; total: number }> {
  const ours = tx.selectFrom('agents').where('organizationId', '=', organizationId)
  const { total } = await ours.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  const items = await ours
    .selectAll()
    .orderBy('isDefault', 'desc')
    .orderBy('id')
    .limit(slice.limit)
    .offset(slice.offset)
    .execute()
  return { items, total: Number(total) }
}

export type AgentChange = Omit<Updateable<Agents>, 'organizationId' | 'id' | 'isDefault' | 'version' | 'createdAt' | 'updatedAt'>

/** The agent as it is now; undefined when there is none with that id. Its version rises with each change. */
export async function changeAgent(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  change: AgentChange,
): Promise<Agent | undefined> {
  return tx
    .updateTable('agents')
    .set((eb) => ({ ...change, version: eb('version', '+', 1), updatedAt: sql`now()` }))
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
}
