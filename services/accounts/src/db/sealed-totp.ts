import { installationId } from '@parley/contracts'
import { currentKeyId, type JobRef, openText, type SealedPlace, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { z } from 'zod'
import type { DB } from './types.ts'

/** What the job reseal-second-factors is asked with; opening the app asks for it, so it stands apart from the job. */
export const resealSecondFactorsRef = {
  name: 'reseal-second-factors',
  schema: z.object({ after: z.uuid().nullable() }),
} satisfies JobRef<{ after: string | null }>

const placeOf = (userId: string): SealedPlace => ({
  organizationId: installationId,
  table: 'users',
  column: 'sealed_totp',
  row: userId,
})

export const sealTotp = (keys: SealingKeys, userId: string, secret: Uint8Array): string =>
  sealText(keys, placeOf(userId), Buffer.from(secret).toString('base64'))

export const openTotp = (keys: SealingKeys, userId: string, sealed: string): Buffer =>
  Buffer.from(openText(keys, placeOf(userId), sealed), 'base64')

/** People whose second factor is sealed with another key than the current one, in the order of their ids. */
export async function listLateSecondFactors(
  tx: Tx<DB>,
  keys: SealingKeys,
  page: { after: string | null; limit: number },
): Promise<string[]> {
  let late = tx
    .selectFrom('users')
    .select('userId')
    .where('sealedTotp', 'is not', null)
    .where(sql<string>`split_part(sealed_totp, '.', 2)`, '<>', currentKeyId(keys))
  if (page.after !== null) late = late.where('userId', '>', page.after)
  const rows = await late.orderBy('userId').limit(page.limit).execute()
  return rows.map(({ userId }) => userId)
}
