import { CamelCasePlugin, CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { roleOf, schemaOf } from '../schema.ts'
import type { Tx } from '../types.ts'
import type { World } from './index.ts'

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: PlanNode[]
}
interface Plan {
  /** Tables that were read from end to end. */
  scanned: string[]
  /** Rows of tables that were looked at, whether they matched or not. */
  touched: number
}

/** Runs queries as a service would, with its role and row-level security, and tells how Postgres carried out each statement. */
export async function plansOf<DB>(
  world: Pick<World, 'databaseUrl'>,
  of: { service: string; organizationId: string },
  work: (tx: Tx<DB>) => Promise<unknown>,
): Promise<Plan[]> {
  // Not a pool: its end does not wait until the connection has closed, and the world drops the database.
  const client = new pg.Client({ connectionString: world.databaseUrl(roleOf(of.service)) })
  await client.connect()
  const pool = { options: {}, connect: async () => Object.assign(client, { release: () => undefined }), end: () => client.end() }
  const asked: CompiledQuery[] = []
  const db = new Kysely<DB>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin()],
    log: ({ query }) => void asked.push(query),
  })
  try {
    return await db.transaction().execute(async (tx) => {
      const settings = sql`set_config('app.organization_id', ${of.organizationId}, true), set_config('search_path', ${schemaOf(of.service)}, true)`
      await sql`select ${settings}`.execute(tx)
      asked.length = 0
      await work(tx)
      const plans: Plan[] = []
      for (const query of asked.splice(0)) plans.push(await explain(tx, query))
      return plans
    })
  } finally {
    await db.destroy()
  }
}

async function explain<DB>(tx: Kysely<DB>, query: CompiledQuery): Promise<Plan> {
  const text = `explain (analyze, timing off, format json) ${query.sql}`
  const { rows } = await tx
    .withoutPlugins()
    .executeQuery<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(CompiledQuery.raw(text, [...query.parameters]))
  const [told] = rows
  if (told === undefined) throw new Error(`Postgres told no plan of ${query.sql}`)
  return summed(told['QUERY PLAN'][0].Plan)
}

function summed(node: PlanNode): Plan {
  const { 'Relation Name': table, 'Actual Loops': loops } = node
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
  const below = (node.Plans ?? []).map(summed)
  return {
    scanned: [
      ...(table !== undefined && node['Node Type'] === 'Seq Scan' ? [table] : []),
      ...below.flatMap((plan) => plan.scanned),
    ],
    touched:
      (table === undefined ? 0 : (node['Actual Rows'] + removed) * loops) + below.reduce((sum, plan) => sum + plan.touched, 0),
  }
}
