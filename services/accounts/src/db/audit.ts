import type { DataOf, changeAudited, readAudited } from '@parley/contracts'
import type { Tx } from '@parley/runtime'
import { type Selectable, sql } from 'kysely'
import { genesis, type Head, type Link, type SealedEntry, type Stored } from '../rules/audit-chain.ts'
import type { AuditEntries, DB } from './types.ts'

/** A text as Postgres takes it: NUL, which a stranger may send and no column holds, becomes the sign for "no such character". */
const storable = (text: string) => text.replaceAll('\u0000', '\uFFFD')

/** Keeps a change once, and notes that it waits to be sealed. True when it was new. */
export async function insertChange(
  tx: Tx<DB>,
  organizationId: string,
  entryId: string,
  change: DataOf<typeof changeAudited>,
): Promise<boolean> {
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value))
  const inserted = await tx
    .with('entry', (db) =>
      db
        .insertInto('auditEntries')
        .values({
          organizationId,
          entryId,
          requestId: change.requestId,
          actorKind: change.actor.kind,
          actorId: storable(change.actor.id),
          ip: change.ip,
          userAgent: change.userAgent === null ? null : storable(change.userAgent),
          at: change.at,
          action: storable(change.action),
          resourceType: storable(change.resourceType),
          resourceId: storable(change.resourceId),
          before: json(change.before),
          after: json(change.after),
          reason: change.reason === null ? null : storable(change.reason),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning(['organizationId', 'entryId']),
    )
    .insertInto('auditUnsealed')
    .columns(['organizationId', 'entryId'])
    .expression((db) => db.selectFrom('entry').select(['entry.organizationId', 'entry.entryId']))
    .executeTakeFirst()
  return inserted.numInsertedOrUpdatedRows === 1n
}

export async function insertRead(
  tx: Tx<DB>,
  organizationId: string,
  entryId: string,
  read: DataOf<typeof readAudited>,
): Promise<void> {
  await tx
    .insertInto('dataAccess')
    .values({
      organizationId,
      entryId,
      requestId: read.requestId,
      actorKind: read.actor.kind,
      actorId: storable(read.actor.id),
      ip: read.ip,
      userAgent: read.userAgent === null ? null : storable(read.userAgent),
      at: read.at,
      action: storable(read.action),
      resourceType: storable(read.resourceType),
      resourceId: read.resourceId === null ? null : storable(read.resourceId),
      rowCount: read.count,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** An entry as it is hashed. */
function sealedEntryOf(row: Omit<Selectable<AuditEntries>, 'organizationId'>): SealedEntry {
  return {
    entryId: row.entryId,
    requestId: row.requestId,
    actorKind: row.actorKind,
    actorId: row.actorId,
    ip: row.ip,
    userAgent: row.userAgent,
    at: row.at.toISOString(),
    action: row.action,
    resourceType: row.resourceType,
    resourceId: row.resourceId,
    before: row.before,
    after: row.after,
    reason: row.reason,
  }
}

/** The end of the chain, held until the commit: one sealing at a time. */
export async function lockHead(tx: Tx<DB>, organizationId: string, now: Date): Promise<Head> {
  await tx
    .insertInto('auditHeads')
    .values({ organizationId, ...genesis, sealedAt: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const row = await tx
    .selectFrom('auditHeads')
    .select(['sequence', 'hash'])
    .where('organizationId', '=', organizationId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  return { sequence: Number(row.sequence), hash: row.hash }
}

/** Entries that are in no link yet, in the order in which they came. */
export async function listUnsealed(tx: Tx<DB>, organizationId: string, limit: number): Promise<SealedEntry[]> {
  const rows = await tx
    .selectFrom('auditUnsealed')
    .innerJoin('auditEntries as e', (join) =>
      join.onRef('e.organizationId', '=', 'auditUnsealed.organizationId').onRef('e.entryId', '=', 'auditUnsealed.entryId'),
    )
    .selectAll('e')
    .where('auditUnsealed.organizationId', '=', organizationId)
    .orderBy('auditUnsealed.seq')
    .limit(limit)
    .execute()
  return rows.map(sealedEntryOf)
}

/** Appends links and moves the head; at least one. Its caller holds the head. */
export async function appendLinks(tx: Tx<DB>, organizationId: string, links: readonly Link[]): Promise<void> {
  const last = links.at(-1)
  if (!last) return
  const ids = links.map((link) => link.entryId)
  await tx
    .insertInto('auditChain')
    .values(links.map((link) => ({ organizationId, ...link })))
    .execute()
  await tx.deleteFrom('auditUnsealed').where('organizationId', '=', organizationId).where('entryId', 'in', ids).execute()
  await tx
    .updateTable('auditHeads')
    .set({ sequence: last.sequence, hash: last.hash, sealedAt: last.sealedAt })
    .where('organizationId', '=', organizationId)
    .execute()
}

export interface ChainState {
  head: Head
  sealedAt: Date | null
  /** The highest sequence there is: the head's, unless somebody added links past it. */
  last: number
  unsealed: number
  oldestUnsealedAt: Date | null
  /** Entries and links there are: each entry has a link or waits for one. */
  entries: number
  links: number
}

/** What the head says and what there is, as of one moment. */
export async function readChainState(tx: Tx<DB>, organizationId: string): Promise<ChainState> {
  const state = await sql<{
    sequence: string | null
    hash: string | null
    sealedAt: Date | null
    last: string | null
    unsealed: string
    oldestUnsealedAt: Date | null
    entries: string
    links: string
  }>`
    select h.sequence, h.hash, h.sealed_at,
      (select max(sequence) from audit_chain where organization_id = ${organizationId}) as last,
      (select count(*) from audit_unsealed where organization_id = ${organizationId}) as unsealed,
      (select min(queued_at) from audit_unsealed where organization_id = ${organizationId}) as oldest_unsealed_at,
      (select count(*) from audit_entries where organization_id = ${organizationId}) as entries,
      (select count(*) from audit_chain where organization_id = ${organizationId}) as links
    from (select 1) as one left join audit_heads h on h.organization_id = ${organizationId}`.execute(tx)
  const row = state.rows[0]
  return {
    head: row?.hash ? { sequence: Number(row.sequence), hash: row.hash } : genesis,
    sealedAt: row?.sealedAt ?? null,
    last: Number(row?.last ?? 0),
    unsealed: Number(row?.unsealed ?? 0),
    oldestUnsealedAt: row?.oldestUnsealedAt ?? null,
    entries: Number(row?.entries ?? 0),
    links: Number(row?.links ?? 0),
  }
}

/** An entry that has no link and waits for none: somebody took both away. */
export async function findUnlinked(tx: Tx<DB>, organizationId: string): Promise<string | undefined> {
  const { rows } = await sql<{ entryId: string }>`
    select e.entry_id from audit_entries e where e.organization_id = ${organizationId}
      and not exists (select 1 from audit_chain c where c.organization_id = e.organization_id and c.entry_id = e.entry_id)
      and not exists (select 1 from audit_unsealed u where u.organization_id = e.organization_id and u.entry_id = e.entry_id)
    order by e.entry_id limit 1`.execute(tx)
  return rows[0]?.entryId
}

/** A page of the chain with what its links seal. */
export async function readChain(
  tx: Tx<DB>,
  organizationId: string,
  slice: { after: number; upTo: number; limit: number },
): Promise<Stored[]> {
  const links = await tx
    .selectFrom('auditChain')
    .select(['sequence', 'entryId', 'previousHash', 'hash', 'sealedAt'])
    .where('organizationId', '=', organizationId)
    .where('sequence', '>', String(slice.after))
    .where('sequence', '<=', String(slice.upTo))
    .orderBy('sequence')
    .limit(slice.limit)
    .execute()
  if (links.length === 0) return []
  const ids = links.map((link) => link.entryId)
  const rows = await tx
    .selectFrom('auditEntries')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('entryId', 'in', ids)
    .execute()
  const entries = new Map(rows.map((row) => [row.entryId, sealedEntryOf(row)]))
  return links.map((link) => ({
    link: { ...link, sequence: Number(link.sequence), sealedAt: link.sealedAt.toISOString() },
    entry: entries.get(link.entryId),
  }))
}

/** The hash of a link; undefined when there is none of that number. */
export async function findLinkHash(tx: Tx<DB>, organizationId: string, sequence: number): Promise<string | undefined> {
  const row = await tx
    .selectFrom('auditChain')
    .select('hash')
    .where('organizationId', '=', organizationId)
    .where('sequence', '=', String(sequence))
    .executeTakeFirst()
  return row?.hash
}
