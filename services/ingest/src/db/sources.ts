import type { ProviderName } from '@parley/contracts'
import type { WebhookSecrets } from '@parley/providers/webhook'
import { isSealedWithOldKey, openText, type SealedPlace, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import { type Insertable, sql, type Selectable, type Updateable } from 'kysely'
import { validSecrets } from '../rules/source-secrets.ts'
import { noteOwner } from './old-receipts.ts'
import type { DB, SourceStatus, WebhookSources } from './types.ts'

export type Source = Selectable<WebhookSources>
type SealedColumn = 'sealed_header' | 'sealed_signing'

// Current and previous share a place: rotating moves the sealed text from one column to the other as it is.
const placeOf = (organizationId: string, row: string, column: SealedColumn): SealedPlace => ({
  organizationId,
  table: 'webhook_sources',
  column,
  row,
})

/** Seals a secret of a source for its row. */
export function sealSourceSecret(
  keys: SealingKeys,
  organizationId: string,
  id: string,
  column: SealedColumn,
  secret: string,
): string {
  return sealText(keys, placeOf(organizationId, id, column), secret)
}

/** The columns of one secret of a source. */
interface SealedSecret {
  current: string | null
  previous: string | null
  rotatedAt: Date | null
}

/**
 * The columns of a secret whose value is `secret` from now on: the one before it is good for as long as a rotation lasts. What is sealed
 * with the installation's key of before is sealed anew, so that this key can be taken out.
 */
export function sealedAnew(
  keys: SealingKeys,
  organizationId: string,
  id: string,
  column: SealedColumn,
  secret: string | undefined,
  source: Source | undefined,
  at: Date,
): SealedSecret {
  const place = placeOf(organizationId, id, column)
  const before = { sealed_header: headerOf, sealed_signing: signingOf }[column](source)
  const refreshed = (sealed: string | null) =>
    sealed === null || !isSealedWithOldKey(keys, sealed) ? sealed : sealText(keys, place, openText(keys, place, sealed))
  const current = refreshed(before.current)
  if ((current === null ? undefined : openText(keys, place, current)) === secret) {
    return { current, previous: refreshed(before.previous), rotatedAt: before.rotatedAt }
  }
  return { current: secret === undefined ? null : sealText(keys, place, secret), previous: current, rotatedAt: at }
}

const headerOf = (source: Source | undefined): SealedSecret => ({
  current: source?.sealedHeaderCurrent ?? null,
  previous: source?.sealedHeaderPrevious ?? null,
  rotatedAt: source?.headerRotatedAt ?? null,
})
const signingOf = (source: Source | undefined): SealedSecret => ({
  current: source?.sealedSigningCurrent ?? null,
  previous: source?.sealedSigningPrevious ?? null,
  rotatedAt: source?.signingRotatedAt ?? null,
})

/** A closed source: nothing of it opens or proves anything. */
export const wiped = {
  tokenHash: null,
  sealedHeaderCurrent: null,
  sealedHeaderPrevious: null,
  sealedSigningCurrent: null,
  sealedSigningPrevious: null,
} as const

/** The secrets that are good at `now`, open. */
export function openSourceSecrets(keys: SealingKeys, source: Source, now: Date): WebhookSecrets {
  const open = (column: SealedColumn, sealed: string) => openText(keys, placeOf(source.organizationId, source.id, column), sealed)
  const signing = validSecrets(source.sealedSigningCurrent, source.sealedSigningPrevious, source.signingRotatedAt, now)
  const header = validSecrets(source.sealedHeaderCurrent, source.sealedHeaderPrevious, source.headerRotatedAt, now)
  return {
    accountId: source.accountId,
    signing: signing.map((sealed) => open('sealed_signing', sealed)),
    header:
      source.headerName === null
        ? undefined
        : { name: source.headerName, values: header.map((sealed) => open('sealed_header', sealed)) },
  }
}

/** The active source of a token. */
export async function findSourceByToken(tx: Tx<DB>, organizationId: string, tokenHash: Buffer): Promise<Source | undefined> {
  return tx
    .selectFrom('webhookSources')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('tokenHash', '=', tokenHash)
    .where('status', '=', 'active')
    .executeTakeFirst()
}

export async function insertSource(
  tx: Tx<DB>,
  organizationId: string,
  source: Omit<Insertable<WebhookSources>, 'organizationId'>,
): Promise<Source> {
  await noteOwner(tx, organizationId)
  return tx
    .insertInto('webhookSources')
    .values({ organizationId, ...source })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The source, locked until the commit: two rotations at once must not lose a secret between them. */
export async function lockSource(tx: Tx<DB>, organizationId: string, id: string): Promise<Source | undefined> {
  return tx
    .selectFrom('webhookSources')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
}

export async function updateSource(
  tx: Tx<DB>,
  organizationId: string,
  id: string,
  change: Updateable<WebhookSources>,
): Promise<Source> {
  return tx
    .updateTable('webhookSources')
    .set({ ...change, updatedAt: sql<Date>`now()` })
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

export async function listSources(
  tx: Tx<DB>,
  organizationId: string,
  filter: { provider?: ProviderName | undefined; status?: SourceStatus | undefined; limit: number; offset: number },
): Promise<{ items: Source[]; total: number }> {
  let matching = tx.selectFrom('webhookSources').where('organizationId', '=', organizationId)
  if (filter.provider !== undefined) matching = matching.where('provider', '=', filter.provider)
  if (filter.status !== undefined) matching = matching.where('status', '=', filter.status)
  const items = await matching.selectAll().orderBy('id', 'desc').limit(filter.limit).offset(filter.offset).execute()
  const { total } = await matching.select((eb) => eb.fn.countAll<string>().as('total')).executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}

/** Notes that deliveries arrive, once a minute at most: replicas that note it together write one row version between them. */
export async function touchSources(tx: Tx<DB>, organizationId: string, ids: readonly string[]): Promise<void> {
  await sql`
    update webhook_sources set last_received_at = date_trunc('minute', now())
    where organization_id = ${organizationId} and id = any(${[...ids].sort()}::uuid[])
      and (last_received_at is null or last_received_at < date_trunc('minute', now()))
  `.execute(tx)
}
