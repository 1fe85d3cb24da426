import { installationId } from '@parley/contracts'
import { currentKeyId, type JobRef, openText, type SealedPlace, type SealingKeys, sealText, type Tx } from '@parley/runtime'
import { sql } from 'kysely'
import { z } from 'zod'
import type { DB } from './types.ts'

/** Where each row's text is sealed with the installation's key itself. Signing keys are too, but nobody waits for a job to use those. */
const columns = {
  users: { id: 'user_id', column: 'sealed_totp' },
  user_preferences: { id: 'user_id', column: 'sealed_preferences' },
  mails: { id: 'mail_id', column: 'sealed_text' },
} as const

const SealedTable = z.enum(['users', 'user_preferences', 'mails'])
export type SealedTable = z.infer<typeof SealedTable>
export const sealedTables: readonly SealedTable[] = SealedTable.options

interface Asked {
  table: SealedTable
  after: string | null
}

/** What the job reseal-texts is asked with; opening the app asks for it, so it stands apart from the job. */
export const resealTextsRef = {
  name: 'reseal-texts',
  schema: z.object({ table: SealedTable, after: z.uuid().nullable() }),
} satisfies JobRef<Asked>

export function sealedPlace(table: SealedTable, row: string): SealedPlace {
  return { organizationId: installationId, table, column: columns[table].column, row }
}

/** Rows whose text is sealed with another key than the current one, in the order of their ids. */
export async function listLateTexts(
  tx: Tx<DB>,
  keys: SealingKeys,
  { table, after, limit }: Asked & { limit: number },
): Promise<string[]> {
  const id = sql.ref(columns[table].id)
  const { rows } = await sql<{ id: string }>`
    select ${id} as id from ${sql.table(table)}
    where ${isLate(keys, columns[table].column)} and (${after}::uuid is null or ${id} > ${after}::uuid)
    order by ${id} limit ${limit}`.execute(tx)
  return rows.map((row) => row.id)
}

/** How many texts, signing keys among them, are sealed with another key than the current one: while there are any, that one must stay. */
export async function countLateTexts(tx: Tx<DB>, keys: SealingKeys): Promise<number> {
  const places = [
    ...sealedTables.map((table) => ({ table, ...columns[table] })),
    { table: 'signing_keys', column: 'sealed_private' },
  ]
  const late = places.map(({ table, column }) => sql`select 1 from ${sql.table(table)} where ${isLate(keys, column)}`)
  const { rows } = await sql<{ late: string }>`select count(*) as late from (${sql.join(late, sql` union all `)}) texts`.execute(
    tx,
  )
  return Number(rows[0]?.late)
}

/** Seals the text of a row with the current key. Throws SealBroken when no key of ours opens it. */
export async function resealText(tx: Tx<DB>, keys: SealingKeys, table: SealedTable, row: string): Promise<void> {
  const id = sql.ref(columns[table].id)
  const column = sql.ref(columns[table].column)
  const { rows } = await sql<{ sealed: string | null }>`
    select ${column} as sealed from ${sql.table(table)} where ${id} = ${row} for update`.execute(tx)
  // A mail that went out meanwhile has no text any more.
  const sealed = rows[0]?.sealed ?? null
  if (sealed === null) return
  const place = sealedPlace(table, row)
  const resealed = sealText(keys, place, openText(keys, place, sealed))
  await sql`update ${sql.table(table)} set ${column} = ${resealed} where ${id} = ${row}`.execute(tx)
}

// Null where there is no text, which is not late either.
const isLate = (keys: SealingKeys, column: string) => sql`split_part(${sql.ref(column)}, '.', 2) <> ${currentKeyId(keys)}`
