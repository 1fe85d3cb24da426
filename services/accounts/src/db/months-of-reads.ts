import type { Tx } from '@parley/runtime'
import { sql } from 'kysely'
import type { DB } from './types.ts'

/**
 * Drops the months of data_access that ended more than `keepDays` ago, makes room for those to come, and answers how many went. A table
 * goes as a whole: there is no delete, which nobody is granted.
 */
export async function keepMonthsOfReads(tx: Tx<DB>, keepDays: number): Promise<number> {
  const { rows } = await sql<{ dropped: number }>`select keep_months_of_reads(${keepDays}) as dropped`.execute(tx)
  return rows[0]?.dropped ?? 0
}
