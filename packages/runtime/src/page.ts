import { type SelectQueryBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Tx } from './types.ts'

/** Paging of every list: at most 100 at once. */
export const pageQuery = {
  page: z.coerce.number().int().min(1).max(100_000).default(1),
  limit: z.coerce.number().int().min(1).max(100).default(25),
}

/** No list counts further: its cost would grow with what there is, for a figure that nobody pages to. */
export const mostCounted = 10_000
const Total = z.int().describe(`How many there are, counted up to ${mostCounted}: that figure means as many or more.`)

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), page: z.int(), limit: z.int(), total: Total })
}

/** How many rows match; `mostCounted` when there are as many or more. */
export async function totalOf<DB, Tables extends keyof DB>(
  tx: Tx<DB>,
  matching: SelectQueryBuilder<DB, Tables, object>,
): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select count(*)::int as total from (${matching.select(sql`1`.as('one')).limit(mostCounted)}) as counted`.execute(tx)
  return rows[0]?.total ?? 0
}
