import { keyChanged, type KeyRecord, type Permission } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import { type Selectable, sql, type Updateable } from 'kysely'
import { changedFields } from '../rules/changed.ts'
import type { ApiKeys, DB } from './types.ts'

export type ApiKey = Selectable<ApiKeys>

export interface NewApiKey {
  keyId: string
  name: string
  lastFour: string
  hash: string
  scopes: Permission[]
  perMinute: number | null
  perDay: number | null
  expiresAt: Date | null
  agentId: string | null
  createdBy: string
  createdByUser: string | null
}

export async function insertKey(tx: Tx<DB>, tools: CommitTools, organizationId: string, fresh: NewApiKey): Promise<ApiKey> {
  const key = await tx
    .insertInto('apiKeys')
    .values({ organizationId, ...fresh })
    .returningAll()
    .executeTakeFirstOrThrow()
  tools.emit(keyChanged, recordOf(key))
  tools.audit({ resourceType: 'api_key', resourceId: key.keyId, before: null, after: auditedOf(key) })
  return key
}

/** Active keys, an expired one included: its name still stands in somebody's list. */
export async function countActiveKeys(tx: Tx<DB>, organizationId: string): Promise<number> {
  const { count } = await tx
    .selectFrom('apiKeys')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('organizationId', '=', organizationId)
    .where('status', '=', 'active')
    .executeTakeFirstOrThrow()
  return Number(count)
}

export async function findKey(tx: Tx<DB>, organizationId: string, keyId: string): Promise<ApiKey | undefined> {
  return tx
    .selectFrom('apiKeys')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('keyId', '=', keyId)
    .executeTakeFirst()
}

/** The key, locked until the commit: two rotations at once must not lose a secret between them. */
export async function lockKey(tx: Tx<DB>, organizationId: string, keyId: string): Promise<ApiKey | undefined> {
  return tx
    .selectFrom('apiKeys')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('keyId', '=', keyId)
    .forUpdate()
    .executeTakeFirst()
}

/** Writes the change under the next revision and tells every service. */
export async function updateKey(
  tx: Tx<DB>,
  tools: CommitTools,
  before: ApiKey,
  change: Updateable<ApiKeys>,
  reason: string | null = null,
): Promise<ApiKey> {
  const key = await tx
    .updateTable('apiKeys')
    .set((eb) => ({ ...change, revision: eb('revision', '+', 1), updatedAt: sql<Date>`now()` }))
    .where('organizationId', '=', before.organizationId)
    .where('keyId', '=', before.keyId)
    .returningAll()
    .executeTakeFirstOrThrow()
  tools.emit(keyChanged, recordOf(key))
  const changed = changedFields(auditedOf(before), auditedOf(key)) ?? { before: {}, after: {} }
  tools.audit({ resourceType: 'api_key', resourceId: key.keyId, ...changed, reason })
  return key
}

export interface Revocation {
  by: string
  at: Date
  reason: string | null
}

export async function revokeKey(tx: Tx<DB>, tools: CommitTools, key: ApiKey, { by, at, reason }: Revocation): Promise<ApiKey> {
  return updateKey(
    tx,
    tools,
    key,
    // What could still open it goes with it: a hash that nothing needs is only a risk.
    { status: 'revoked', revokedAt: at, revokedBy: by, previousHash: null, previousUntil: null },
    reason,
  )
}

export async function countKeysOf(tx: Tx<DB>, organizationId: string, userId: string): Promise<number> {
  const { count } = await keysOf(tx, organizationId, userId)
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Revokes every active key that somebody made; resolves with how many. */
export async function revokeKeysOf(
  tx: Tx<DB>,
  tools: CommitTools,
  organizationId: string,
  userId: string,
  revocation: Revocation,
): Promise<number> {
  // There are at most `mostKeys` active ones in an organization.
  const keys = await keysOf(tx, organizationId, userId).selectAll().orderBy('keyId').forUpdate().execute()
  for (const key of keys) await revokeKey(tx, tools, key, revocation)
  return keys.length
}

const keysOf = (tx: Tx<DB>, organizationId: string, userId: string) =>
  tx
    .selectFrom('apiKeys')
    .where('organizationId', '=', organizationId)
    .where('createdByUser', '=', userId)
    .where('status', '=', 'active')

export async function listKeys(
  tx: Tx<DB>,
  organizationId: string,
  filter: { status?: 'active' | 'revoked' | undefined; limit: number; offset: number },
): Promise<{ items: ApiKey[]; total: number }> {
  let matching = tx.selectFrom('apiKeys').where('organizationId', '=', organizationId)
  if (filter.status !== undefined) matching = matching.where('status', '=', filter.status)
  const items = await matching
    .selectAll()
    .orderBy('createdAt', 'desc')
    .orderBy('keyId')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}

/** The key as every service keeps it. */
export function recordOf(key: ApiKey): KeyRecord {
  const { keyId, hash, scopes, perMinute, perDay, status, revision, previousHash, previousUntil, expiresAt } = key
  const makerId = key.createdByUser
  return {
    keyId,
    hash,
    previous: previousHash === null || previousUntil === null ? null : { hash: previousHash, until: previousUntil.toISOString() },
    scopes,
    perMinute,
    perDay,
    expiresAt: expiresAt?.toISOString() ?? null,
    makerId,
    status,
    revision,
  }
}

/** What the audit log may know: no hash, and of the secrets only that they changed. */
const auditedOf = ({
  name,
  scopes,
  perMinute,
  perDay,
  expiresAt,
  status,
  agentId,
  lastFour,
  rotatedAt,
  previousUntil,
  createdByUser,
}: ApiKey) => ({
  name,
  scopes,
  perMinute,
  perDay,
  expiresAt,
  status,
  agentId,
  lastFour,
  rotatedAt,
  previousUntil,
  makerId: createdByUser,
})
