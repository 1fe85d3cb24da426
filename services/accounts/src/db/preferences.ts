import { installationId } from '@parley/contracts'
import { currentKeyId, type JobRef, openText, type SealedPlace, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { z } from 'zod'
import { changePreferences, defaultPreferences, type Preferences } from '../rules/preferences.ts'
import type { DB } from './types.ts'

export interface StoredPreferences {
  preferences: Preferences
  createdAt: Date
  updatedAt: Date
}

const placeOf = (userId: string): SealedPlace => ({
  organizationId: installationId,
  table: 'user_preferences',
  column: 'sealed_preferences',
  row: userId,
})

export async function findPreferences(tx: Tx<DB>, keys: SealingKeys, userId: string): Promise<StoredPreferences | undefined> {
  const row = await tx.selectFrom('userPreferences').selectAll().where('userId', '=', userId).executeTakeFirst()
  return row && opened(keys, row)
}

/** Changes a person's preferences; the defaults are stored when there are none yet. */
export async function savePreferences(
  tx: Tx<DB>,
  keys: SealingKeys,
  userId: string,
  change: Parameters<typeof changePreferences>[1],
): Promise<{ before: Preferences; stored: StoredPreferences }> {
  await tx
    .insertInto('userPreferences')
    .values({ userId, sealedPreferences: seal(keys, userId, defaultPreferences) })
    .onConflict((conflict) => conflict.column('userId').doNothing())
    .execute()
  const row = await tx
    .selectFrom('userPreferences')
    .selectAll()
    .where('userId', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const before = opened(keys, row)
  if (Object.keys(change).length === 0) return { before: before.preferences, stored: before }
  const preferences = changePreferences(before.preferences, change)
  const { updatedAt } = await tx
    .updateTable('userPreferences')
    .set({ sealedPreferences: seal(keys, userId, preferences), updatedAt: sql<Date>`now()` })
    .where('userId', '=', userId)
    .returning('updatedAt')
    .executeTakeFirstOrThrow()
  return { before: before.preferences, stored: { ...before, preferences, updatedAt } }
}

const seal = (keys: SealingKeys, userId: string, preferences: Preferences) =>
  sealText(keys, placeOf(userId), JSON.stringify(preferences))

function opened(
  keys: SealingKeys,
  row: { userId: string; sealedPreferences: string; createdAt: Date; updatedAt: Date },
): StoredPreferences {
  const stored = JSON.parse(openText(keys, placeOf(row.userId), row.sealedPreferences)) as Partial<Preferences>
  return { preferences: changePreferences(stored, {}), createdAt: row.createdAt, updatedAt: row.updatedAt }
}

/** What the job reseal-preferences is asked with; opening the app asks for it, so it stands apart from the job. */
export const resealPreferencesRef = {
  name: 'reseal-preferences',
  schema: z.object({ after: z.uuid().nullable() }),
} satisfies JobRef<{ after: string | null }>

/** People whose preferences are sealed with another key than the current one, in the order of their ids. */
export async function listLatePreferences(
  tx: Tx<DB>,
  keys: SealingKeys,
  page: { after: string | null; limit: number },
): Promise<string[]> {
  let late = tx
    .selectFrom('userPreferences')
    .select('userId')
    .where(sql<string>`split_part(sealed_preferences, '.', 2)`, '<>', currentKeyId(keys))
  if (page.after !== null) late = late.where('userId', '>', page.after)
  const rows = await late.orderBy('userId').limit(page.limit).execute()
  return rows.map(({ userId }) => userId)
}

/** Seals them with the current key. Throws SealBroken when no key of ours opens them. */
export async function resealPreferences(tx: Tx<DB>, keys: SealingKeys, userId: string): Promise<void> {
  const row = await tx.selectFrom('userPreferences').selectAll().where('userId', '=', userId).forUpdate().executeTakeFirst()
  if (row === undefined) return
  const { preferences } = opened(keys, row)
  await tx
    .updateTable('userPreferences')
    .set({ sealedPreferences: seal(keys, userId, preferences) })
    .where('userId', '=', userId)
    .execute()
}
