import type { Tx } from '@parley/runtime'
import { type Insertable, type Selectable, sql } from 'kysely'
import type { DB, ModelConnections } from './types.ts'

/** An organization's own account at a server with OpenAI's API. */
export interface ModelConnection {
  organizationId: string
  connectionId: string
  revision: number
  baseUrl: string | null
  model: string | null
  promptPriceMicros: number | null
  completionPriceMicros: number | null
  credentials: { keyVersion: number; wrappedKey: string; sealed: string }
}

/** Keeps the newest word of accounts, whatever the order they come in. */
export async function saveModelConnection(
  tx: Tx<DB>,
  organizationId: string,
  told: Omit<Insertable<ModelConnections>, 'organizationId'>,
): Promise<void> {
  const { connectionId: _, ...change } = told
  await tx
    .insertInto('modelConnections')
    .values({ organizationId, ...told })
    .onConflict((conflict) =>
      conflict
        .columns(['organizationId', 'connectionId'])
        .doUpdateSet(change)
        .where('modelConnections.revision', '<', told.revision),
    )
    .execute()
}

/** The account that the organization's turns are asked through: one that works before one that does not, then the latest. */
export async function findModelConnection(tx: Tx<DB>, organizationId: string): Promise<ModelConnection | undefined> {
  const { rows } = await sql<Selectable<ModelConnections>>`
    select * from model_connections where organization_id = ${organizationId} and status in ('active', 'pending', 'error')
    order by status = 'active' desc, connection_id desc limit 1`.execute(tx)
  const row = rows[0]
  if (row === undefined) return undefined
  const { connectionId, revision, baseUrl, model, keyVersion, wrappedKey, sealed } = row
  if (keyVersion === null || wrappedKey === null || sealed === null) return undefined
  const price = (micros: string | null) => (micros === null ? null : Number(micros))
  return {
    organizationId,
    connectionId,
    revision,
    baseUrl,
    model,
    promptPriceMicros: price(row.promptPriceMicros),
    completionPriceMicros: price(row.completionPriceMicros),
    credentials: { keyVersion, wrappedKey, sealed },
  }
}
