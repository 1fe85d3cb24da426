import {
  currentKeyId,
  type DataKey,
  isSealedWithOldKey,
  makeDataKey,
  type SealingKeys,
  type Tx,
  unwrapDataKey,
  wrapDataKey,
} from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

/** A data key, and the form in which it goes to the services that open what is sealed with it. */
export interface StoredDataKey {
  dataKey: DataKey
  wrapped: string
}

/**
 * The organization's data key, made when it has none. It is held until the commit: nobody retires it while something is being sealed
 * with it, and any number may seal at once.
 */
export async function holdDataKey(tx: Tx<DB>, keys: SealingKeys, organizationId: string): Promise<StoredDataKey> {
  const known = await findCurrent(tx, organizationId)
  if (known) return opened(keys, organizationId, known)
  const made = makeDataKey(keys, organizationId, 1)
  await tx
    .insertInto('encryptionKeys')
    .values({ organizationId, version: 1, wrapped: made.wrapped })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  // Somebody else's may have been first.
  const current = await findCurrent(tx, organizationId)
  if (!current) throw new Error('The data key of the organization was neither found nor made.')
  if (current.wrapped === made.wrapped) await noteHolder(tx, keys, organizationId)
  return opened(keys, organizationId, current)
}

/** The data key of one version as it is stored, as long as it is. */
export async function findWrapped(tx: Tx<DB>, organizationId: string, version: number): Promise<string | undefined> {
  const row = await tx
    .selectFrom('encryptionKeys')
    .select('wrapped')
    .where('organizationId', '=', organizationId)
    .where('version', '=', version)
    .executeTakeFirst()
  return row?.wrapped ?? undefined
}

/**
 * Replaces the data key and forgets the old one, which is returned for the last time: what is sealed with it is sealed anew in this
 * commit. Undefined: the organization has none, so there is nothing to seal anew.
 *
 * Whoever needs both locks the key before the connections: one that is being made meanwhile would else be sealed with a key that is gone.
 */
export async function replaceDataKey(
  tx: Tx<DB>,
  keys: SealingKeys,
  organizationId: string,
): Promise<{ old: StoredDataKey; fresh: StoredDataKey } | undefined> {
  const current = await lockCurrent(tx, organizationId)
  if (!current) return undefined
  const old = opened(keys, organizationId, current)
  const fresh = makeDataKey(keys, organizationId, current.version + 1)
  await tx
    .updateTable('encryptionKeys')
    .set({ wrapped: null, retiredAt: sql<Date>`now()` })
    .where('organizationId', '=', organizationId)
    .where('version', '=', current.version)
    .execute()
  await tx
    .insertInto('encryptionKeys')
    .values({ organizationId, version: current.version + 1, wrapped: fresh.wrapped })
    .execute()
  await noteHolder(tx, keys, organizationId)
  return { old, fresh }
}

/** Wraps the data key with the installation's current key. False: it is already. Throws SealBroken when no key of ours opens it. */
export async function rewrapDataKey(tx: Tx<DB>, keys: SealingKeys, organizationId: string): Promise<boolean> {
  const current = await lockCurrent(tx, organizationId)
  if (current === undefined || !isSealedWithOldKey(keys, current.wrapped)) {
    await noteHolder(tx, keys, organizationId)
    return false
  }
  const { dataKey } = opened(keys, organizationId, current)
  await tx
    .updateTable('encryptionKeys')
    .set({ wrapped: wrapDataKey(keys, dataKey), wrappedAt: sql<Date>`now()` })
    .where('organizationId', '=', organizationId)
    .where('version', '=', current.version)
    .execute()
  await noteHolder(tx, keys, organizationId)
  return true
}

/** Organizations whose data key is wrapped with another key than the current one, in the order of their ids. */
export async function listLateHolders(
  tx: Tx<DB>,
  keys: SealingKeys,
  page: { after: string | null; limit: number },
): Promise<string[]> {
  let late = tx.selectFrom('keyHolders').select('holder').where('wrappedBy', '<>', currentKeyId(keys))
  if (page.after !== null) late = late.where('holder', '>', page.after)
  const rows = await late.orderBy('holder').limit(page.limit).execute()
  return rows.map(({ holder }) => holder)
}

/** How many data keys there are, and how many wait to be wrapped with the current key. */
export async function countHolders(tx: Tx<DB>, keys: SealingKeys): Promise<{ total: number; remaining: number }> {
  const { total, remaining } = await tx
    .selectFrom('keyHolders')
    .select((eb) => [
      eb.fn.countAll<string>().as('total'),
      eb.fn.countAll<string>().filterWhere('wrappedBy', '<>', currentKeyId(keys)).as('remaining'),
    ])
    .executeTakeFirstOrThrow()
  return { total: Number(total), remaining: Number(remaining) }
}

async function noteHolder(tx: Tx<DB>, keys: SealingKeys, organizationId: string): Promise<void> {
  const wrappedBy = currentKeyId(keys)
  await tx
    .insertInto('keyHolders')
    .values({ holder: organizationId, wrappedBy })
    .onConflict((conflict) => conflict.column('holder').doUpdateSet({ wrappedBy }))
    .execute()
}

const currentOf = (tx: Tx<DB>, organizationId: string) =>
  tx
    .selectFrom('encryptionKeys')
    .select(['version', 'wrapped'])
    .where('organizationId', '=', organizationId)
    .where('retiredAt', 'is', null)

interface Wrapped {
  version: number
  wrapped: string
}

// A current key is always wrapped: the table's check says so, the type cannot.
const findCurrent = async (tx: Tx<DB>, organizationId: string) =>
  (await currentOf(tx, organizationId).forShare().executeTakeFirst()) as Wrapped | undefined
const lockCurrent = async (tx: Tx<DB>, organizationId: string) =>
  (await currentOf(tx, organizationId).forUpdate().executeTakeFirst()) as Wrapped | undefined

function opened(keys: SealingKeys, organizationId: string, { version, wrapped }: Wrapped): StoredDataKey {
  return { dataKey: unwrapDataKey(keys, organizationId, version, wrapped), wrapped }
}
