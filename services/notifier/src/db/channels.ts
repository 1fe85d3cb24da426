import type { SealedPlace, Tx } from '@parley/runtime'
import { sql, type Selectable } from 'kysely'
import type { Channels, DB } from './types.ts'

export type Channel = Selectable<Channels>

/** Where a channel's token is sealed. */
export function tokenPlace(organizationId: string, accountId: string): SealedPlace {
  return { organizationId, table: 'channels', column: 'sealed_token', row: accountId }
}

export async function listChannels(
  tx: Tx<DB>,
  organizationId: string,
  page: { limit: number; offset: number },
): Promise<{ items: Channel[]; total: number }> {
  const items = await tx
    .selectFrom('channels')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .orderBy('accountId')
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const { total } = await tx
    .selectFrom('channels')
    .select((eb) => eb.fn.countAll<string>().as('total'))
    .where('organizationId', '=', organizationId)
    .executeTakeFirstOrThrow()
  return { items, total: Number(total) }
}

/** The channel, held until the commit; undefined when there is none yet. */
export async function lockChannel(tx: Tx<DB>, organizationId: string, accountId: string): Promise<Channel | undefined> {
  return tx
    .selectFrom('channels')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', accountId)
    .forUpdate()
    .executeTakeFirst()
}

/** Sets a channel up, or gives it a new token; whatever was wrong with the old token is over. */
export async function saveChannel(
  tx: Tx<DB>,
  organizationId: string,
  channel: {
    accountId: string
    baseUrl: string
    sealedToken: string
    perSecond: number | null
    disabled: boolean
    connectionId: string | null
  },
): Promise<Channel> {
  const status = channel.disabled ? 'disabled' : 'active'
  return tx
    .insertInto('channels')
    .values({
      organizationId,
      accountId: channel.accountId,
      channel: 'whatsapp',
      provider: 'whapi',
      baseUrl: channel.baseUrl,
      sealedToken: channel.sealedToken,
      perSecond: channel.perSecond,
      connectionId: channel.connectionId,
      status,
    })
    .onConflict((conflict) =>
      conflict.columns(['organizationId', 'accountId']).doUpdateSet((eb) => ({
        baseUrl: eb.ref('excluded.baseUrl'),
        sealedToken: eb.ref('excluded.sealedToken'),
        perSecond: eb.ref('excluded.perSecond'),
        connectionId: eb.ref('excluded.connectionId'),
        status: eb.ref('excluded.status'),
        statusNote: null,
        statusChangedAt: sql<Date>`now()`,
        tokenVersion: eb('channels.tokenVersion', '+', 1),
        updatedAt: sql<Date>`now()`,
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The same token under another seal: nobody has to notice. */
export async function refreshSeal(tx: Tx<DB>, organizationId: string, accountId: string, sealedToken: string): Promise<void> {
  await tx
    .updateTable('channels')
    .set({ sealedToken })
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', accountId)
    .execute()
}

/** Forgets the token of a channel: what waits for it has nowhere to go. */
export async function closeChannel(tx: Tx<DB>, organizationId: string, accountId: string, note: string): Promise<void> {
  await tx
    .updateTable('channels')
    .set({
      sealedToken: null,
      status: 'disabled',
      statusNote: note,
      statusChangedAt: sql<Date>`now()`,
      updatedAt: sql<Date>`now()`,
    })
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', accountId)
    .execute()
}

/** True when this call was the one that found the token refused; false when it is known already, or a newer token is set. */
export async function markUnauthorised(
  tx: Tx<DB>,
  organizationId: string,
  channel: { accountId: string; tokenVersion: number },
  note: string,
): Promise<boolean> {
  const marked = await tx
    .updateTable('channels')
    .set({ status: 'unauthorised', statusNote: note, statusChangedAt: sql<Date>`now()`, updatedAt: sql<Date>`now()` })
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', channel.accountId)
    .where('tokenVersion', '=', channel.tokenVersion)
    .where('status', '=', 'active')
    .executeTakeFirst()
  return marked.numUpdatedRows === 1n
}

/** Notes what the provider says of the phone behind a channel; an older report than the one noted changes nothing. */
export async function noteLink(
  tx: Tx<DB>,
  organizationId: string,
  link: { accountId: string; status: string; needsPerson: boolean; changedAt: string },
): Promise<void> {
  await tx
    .updateTable('channels')
    .set({
      linkStatus: link.status,
      linkNeedsPerson: link.needsPerson,
      linkChangedAt: link.changedAt,
      updatedAt: sql<Date>`now()`,
    })
    .where('organizationId', '=', organizationId)
    .where('accountId', '=', link.accountId)
    .where((eb) => eb.or([eb('linkChangedAt', 'is', null), eb('linkChangedAt', '<=', new Date(link.changedAt))]))
    .execute()
}
