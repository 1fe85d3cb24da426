import { openText, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { changePreferences, defaultPreferences, type Preferences } from '../rules/preferences.ts'
import { sealedPlace } from './sealed-texts.ts'
import type { DB } from './types.ts'

export interface StoredPreferences {
  preferences: Preferences
  createdAt: Date
  updatedAt: Date
}

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
  sealText(keys, sealedPlace('user_preferences', userId), JSON.stringify(preferences))

function opened(
  keys: SealingKeys,
  row: { userId: string; sealedPreferences: string; createdAt: Date; updatedAt: Date },
): StoredPreferences {
  const stored = JSON.parse(
    openText(keys, sealedPlace('user_preferences', row.userId), row.sealedPreferences),
  ) as Partial<Preferences>
  return { preferences: changePreferences(stored, {}), createdAt: row.createdAt, updatedAt: row.updatedAt }
}
