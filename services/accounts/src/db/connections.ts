import { connectionChanged, type ConnectionProvider, type ConnectionStatus } from '@parley/contracts'
import {
  AppError,
  type CommitTools,
  type Credentials,
  credentialsPlace,
  type DataKey,
  openCredentials,
  sealCredentials,
  type SealingKeys,
  type Tx,
} from '@parley/runtime'
import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import { changedFields } from '../rules/changed.ts'
import type { Connections } from './connection-tables.ts'
import { findWrapped, type StoredDataKey } from './encryption-keys.ts'
import type { DB } from './types.ts'

export type Connection = Selectable<Connections>

export async function findConnection(tx: Tx<DB>, organizationId: string, connectionId: string): Promise<Connection | undefined> {
  return byId(tx, organizationId, connectionId).executeTakeFirst()
}

/** The connection, locked until the commit. */
export async function lockConnection(tx: Tx<DB>, organizationId: string, connectionId: string): Promise<Connection | undefined> {
  return byId(tx, organizationId, connectionId).forUpdate().executeTakeFirst()
}

const byId = (tx: Tx<DB>, organizationId: string, connectionId: string) =>
  tx.selectFrom('connections').selectAll().where('organizationId', '=', organizationId).where('connectionId', '=', connectionId)

/** All that are not removed, locked in the order of their ids. There are at most a hundred. */
export async function lockConnections(tx: Tx<DB>, organizationId: string): Promise<Connection[]> {
  return tx
    .selectFrom('connections')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('status', '<>', 'removed')
    .orderBy('connectionId')
    .forUpdate()
    .execute()
}

export async function listConnections(
  tx: Tx<DB>,
  organizationId: string,
  filter: {
    provider?: ConnectionProvider | undefined
    status?: ConnectionStatus | undefined
    limit: number
    offset: number
  },
): Promise<{ items: Connection[]; total: number }> {
  let matching = tx.selectFrom('connections').where('organizationId', '=', organizationId)
  if (filter.provider !== undefined) matching = matching.where('provider', '=', filter.provider)
  matching =
    filter.status === undefined ? matching.where('status', '<>', 'removed') : matching.where('status', '=', filter.status)
  const items = await matching.selectAll().orderBy('connectionId', 'desc').limit(filter.limit).offset(filter.offset).execute()
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}

/** Throws AppError `conflict` when the organization has a connection of that account already. */
export async function insertConnection(
  tx: Tx<DB>,
  tools: CommitTools,
  fresh: Insertable<Connections>,
  { wrapped }: StoredDataKey,
): Promise<Connection> {
  const connection = await tx
    .insertInto('connections')
    .values(fresh)
    .onConflict((conflict) =>
      conflict
        .columns(['organizationId', 'provider', 'accountId'])
        .where('accountId', 'is not', null)
        .where('status', '<>', sql.lit('removed'))
        .doNothing(),
    )
    .returningAll()
    .executeTakeFirst()
  if (!connection) throw new AppError('conflict', `There is a connection of that ${fresh.provider} account already: change it.`)
  tools.emit(connectionChanged, recordOf(connection, wrapped))
  audit(tools, connection, null, auditedOf(connection))
  return connection
}

/** Writes the change under the next revision and tells every service. `replaced`: names of what was secret and is another one now. */
export async function changeConnection(
  tx: Tx<DB>,
  tools: CommitTools,
  before: Connection,
  change: Updateable<Connections>,
  replaced: readonly string[] = [],
): Promise<Connection> {
  const connection = await write(tx, before, { ...change, revision: before.revision + 1 })
  await announce(tx, tools, connection)
  const difference = changedFields(auditedOf(before), auditedOf(connection))
  if (difference !== null || replaced.length > 0) {
    const after = { ...difference?.after, ...(replaced.length > 0 ? { replaced } : {}) }
    audit(tools, connection, difference?.before ?? {}, after)
  }
  return connection
}

/** Books that nobody else keeps: counts, times, the last error. */
export async function noteConnection(tx: Tx<DB>, before: Connection, change: Updateable<Connections>): Promise<Connection> {
  return write(tx, before, change)
}

async function write(tx: Tx<DB>, before: Connection, change: Updateable<Connections>): Promise<Connection> {
  return tx
    .updateTable('connections')
    .set({ ...change, updatedAt: sql<Date>`now()` })
    .where('organizationId', '=', before.organizationId)
    .where('connectionId', '=', before.connectionId)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Tells every service the whole of a connection as it is. */
async function announce(tx: Tx<DB>, tools: CommitTools, connection: Connection): Promise<void> {
  const { organizationId, connectionId, keyVersion } = connection
  const wrapped = keyVersion === null ? null : await findWrapped(tx, organizationId, keyVersion)
  if (wrapped === undefined) throw new Error(`Connection ${connectionId} is sealed with a data key that is gone.`)
  tools.emit(connectionChanged, recordOf(connection, wrapped))
}

/**
 * A connection with its credentials, open; undefined when there is none, or it was removed. One statement: between two of them the data
 * key may be replaced.
 */
export async function findOpenConnection(
  tx: Tx<DB>,
  keys: SealingKeys,
  organizationId: string,
  connectionId: string,
): Promise<{ connection: Connection; credentials: Credentials } | undefined> {
  const row = await tx
    .selectFrom('connections as c')
    .innerJoin('encryptionKeys as k', (join) =>
      join.onRef('k.organizationId', '=', 'c.organizationId').onRef('k.version', '=', 'c.keyVersion'),
    )
    .selectAll('c')
    .select('k.wrapped')
    .where('c.organizationId', '=', organizationId)
    .where('c.connectionId', '=', connectionId)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { wrapped, ...connection } = row
  if (wrapped === null) throw new Error(`Connection ${connectionId} is sealed with a data key that is gone.`)
  return { connection, credentials: opened(keys, connection, wrapped) }
}

/** The credentials of a connection whose data key is `wrapped`. */
export function opened(keys: SealingKeys, connection: Connection, wrappedKey: string): Credentials {
  const { organizationId, connectionId, sealedCredentials: sealed, keyVersion } = connection
  if (sealed === null || keyVersion === null)
    throw new AppError('gone', 'The connection was removed, and its credentials with it.')
  return openCredentials(keys, credentialsPlace(organizationId, connectionId), { keyVersion, wrappedKey, sealed })
}

/** The columns that hold credentials. */
export function sealedColumns(
  dataKey: DataKey,
  connectionId: string,
  credentials: Credentials,
): { sealedCredentials: string; keyVersion: number } {
  const place = credentialsPlace(dataKey.organizationId, connectionId)
  return { sealedCredentials: sealCredentials(dataKey, place, credentials), keyVersion: dataKey.version }
}

function recordOf(connection: Connection, wrappedKey: string | null) {
  const { connectionId, provider, accountId, displayName, status, settings, revision } = connection
  const { sealedCredentials: sealed, keyVersion, webhookSourceId: sourceId, webhookTokenHash: tokenHash } = connection
  return {
    connectionId,
    provider,
    accountId,
    displayName,
    status,
    settings,
    credentials: sealed === null || keyVersion === null || wrappedKey === null ? null : { keyVersion, wrappedKey, sealed },
    webhook: sourceId === null || tokenHash === null ? null : { sourceId, tokenHash, headerName: connection.webhookHeaderName },
    revision,
  }
}

function auditedOf(connection: Connection): Record<string, unknown> {
  const { provider, accountId, displayName, status, settings, syncFrequencyMinutes, webhookSourceId, keyVersion } = connection
  return { provider, accountId, displayName, status, settings, syncFrequencyMinutes, webhookSourceId, keyVersion }
}

function audit(
  tools: CommitTools,
  { connectionId }: Connection,
  before: Record<string, unknown> | null,
  after: Record<string, unknown> | null,
): void {
  tools.audit({ resourceType: 'connection', resourceId: connectionId, before, after })
}
