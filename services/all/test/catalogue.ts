import { schemaOf } from '@parley/runtime'
import type { World } from '@parley/runtime/testing'
import { allServices } from '../src/index.ts'

interface Column {
  name: string
  type: string
  needed: boolean
  /** The database fills it, and nobody else may. */
  generated: boolean
}
/** A table as the database itself describes it. */
export interface Table {
  schema: string
  name: string
  tenant: boolean
  /** By its comment: no update and no delete, not even of one's own. */
  appendOnly: boolean
  columns: Column[]
  /** First allowed literal of each checked text column. */
  allowed: Map<string, string>
}

export const schemas = allServices.map((service) => schemaOf(service.name))
/** Name in SQL. */
export const full = (table: Table) => `${table.schema}."${table.name}"`

/** Every table of every service, read off the catalogue: a new one cannot be forgotten (reliability.md D25). */
export async function readCatalogue(world: World): Promise<Table[]> {
  const columns = await world.sql<{
    schema: string
    table: string
    append_only: boolean
    name: string
    type: string
    needed: boolean
    generated: boolean
  }>(
    `select n.nspname as schema, c.relname as table, coalesce(obj_description(c.oid, 'pg_class') = 'append-only', false) as append_only, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       (a.attnotnull or a.atttypid = 'text'::regtype) and not a.atthasdef and a.attidentity = '' and a.attgenerated = '' as needed, a.attidentity <> '' or a.attgenerated <> '' as generated
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     where n.nspname = any($1) and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
       and c.relname not like 'kysely\\_%' order by 1, 2, a.attnum`,
    [schemas],
  )
  const checks = await world.sql<{ schema: string; table: string; definition: string }>(
    `select n.nspname as schema, c.relname as table, pg_get_constraintdef(k.oid) as definition
     from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
     where k.contype = 'c' and n.nspname = any($1)`,
    [schemas],
  )
  const found = new Map<string, Table>()
  for (const column of columns) {
    const id = `${column.schema}.${column.table}`
    const table: Table = found.get(id) ?? {
      schema: column.schema,
      name: column.table,
      tenant: false,
      appendOnly: column.append_only,
      columns: [],
      allowed: new Map(),
    }
    if (column.name === 'organization_id') table.tenant = true
    table.columns.push(column)
    found.set(id, table)
  }
  for (const { schema, table, definition } of checks) {
    const list = /^CHECK \(\((\w+) = (?:ANY \(ARRAY\[)?'([^']+)'/.exec(definition)
    if (list) found.get(`${schema}.${table}`)?.allowed.set(list[1] as string, list[2] as string)
  }
  return [...found.values()]
}

function valueFor(table: Table, column: Column): string {
  const allowed = table.allowed.get(column.name)
  if (allowed !== undefined) return `'${allowed}'`
  if (column.type === 'uuid') return 'gen_random_uuid()'
  if (column.type.startsWith('timestamp')) return 'now()'
  if (column.type === 'date') return 'current_date'
  if (column.type === 'boolean') return 'false'
  if (column.type === 'bytea') return `'\\x00'`
  if (column.type.startsWith('json')) return `'{}'`
  if (column.type.endsWith('[]')) return `'{}'`
  if (/int|numeric|double|real/.test(column.type)) return '1'
  return `'canary-' || gen_random_uuid()`
}

/**
 * An insert with every needed column filled, and every text, because checks over several columns are about those; or with every
 * column there is.
 */
export function insertSql(
  table: Table,
  organization: string,
  values: Readonly<Record<string, string>> = {},
  columns = table.columns.filter((column) => column.needed || column.name === 'organization_id' || column.name in values),
): string {
  const literals = columns.map((column) =>
    column.name === 'organization_id' ? `'${organization}'` : (values[column.name] ?? valueFor(table, column)),
  )
  return `insert into ${full(table)} (${columns.map((column) => column.name).join(', ')}) values (${literals.join(', ')})`
}

const checkViolated = '23514'

/** Past triggers of foreign keys: one row per table is enough, whoever it would belong to. */
export async function plant(
  world: World,
  table: Table,
  organization: string,
  values: Readonly<Record<string, string>> = {},
): Promise<void> {
  const past = (text: string) =>
    world.sql(`do $$ begin set local session_replication_role = replica; execute $q$${text}$q$; end $$`)
  await past(insertSql(table, organization, values)).catch((error: { code?: string }) => {
    // Some tables want columns only together.
    if (error.code !== checkViolated) throw error
    return past(
      insertSql(
        table,
        organization,
        values,
        table.columns.filter((column) => !column.generated),
      ),
    )
  })
}
