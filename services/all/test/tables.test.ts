import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { schemaOf } from '@parley/runtime'
import { startWorld, type World } from '@parley/runtime/testing'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { allServices } from '../src/index.ts'

/**
 * The tables that queries are typed with (src/db/types.ts) are written by hand, because they say more than a generator can read off
 * the catalogue: what is inside a jsonb, which texts a column may hold. Here they are held against the migrated database.
 */
let world: World
beforeAll(async () => {
  world = await startWorld({ services: allServices, postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl'), idle: true })
})
afterAll(async () => {
  await world?.stop()
})

const runtimeTables = [
  'outbox',
  'relayCursor',
  'handled',
  'laneLeases',
  'replicas',
  'deadLetters',
  'effects',
  'identityMembers',
  'identityKeys',
  'identitySigningKeys',
  'identityRevokedSessions',
  'idempotencyKeys',
  'identityOrganizations',
]
const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())

interface Declared {
  /** Table by its name in the DB interface, with its columns and whether each may be null. */
  tables: Map<string, Map<string, { nullable: boolean }>>
}

interface Interface {
  body: string
  extends: string[]
}

/** The interfaces in a service's src/db/types.ts, and in the *-types.ts and *-tables.ts that it is put together from. */
function readInterfaces(service: string): Map<string, Interface> {
  const folder = join(import.meta.dirname, '..', '..', service, 'src', 'db')
  const found = new Map<string, Interface>()
  for (const file of readdirSync(folder).filter((name) => /(^|-)(types|tables)\.ts$/.test(name))) {
    const text = readFileSync(join(folder, file), 'utf8')
    for (const [, name, parents = '', body] of text.matchAll(/interface (\w+)(?: extends ([\w, ]+))? \{\n([\s\S]*?)^\}/gm))
      found.set(name as string, { body: body as string, extends: parents.split(', ').filter((parent) => parent !== '') })
  }
  return found
}

function readTypes(service: string): Declared {
  const interfaces = readInterfaces(service)
  const linesOf = (name: string): string[] => {
    const found = interfaces.get(name)
    return found === undefined ? [] : [...found.extends.flatMap(linesOf), ...found.body.split('\n')]
  }
  const tables: Declared['tables'] = new Map()
  for (const line of linesOf('DB')) {
    const [, table, name] = /^ {2}(\w+): (\w+)/.exec(line) ?? []
    if (!table || !name) continue
    const columns = new Map<string, { nullable: boolean }>()
    for (const [, column, type] of linesOf(name)
      .join('\n')
      .matchAll(/^ {2}(\w+): (.+)$/gm)) {
      columns.set(column as string, { nullable: /\bnull\b/.test(type as string) })
    }
    tables.set(table, columns)
  }
  return { tables }
}

describe.each(allServices.map((service) => service.name))('%s', (service) => {
  test('names every table and column of its schema as the database has it, null where it may be', async () => {
    const rows = await world.sql<{ table: string; column: string; nullable: boolean }>(
      `select c.relname as table, a.attname as column, not a.attnotnull as nullable
       from pg_class c join pg_attribute a on a.attrelid = c.oid
       where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped`,
      [schemaOf(service)],
    )
    const real = new Map<string, Map<string, { nullable: boolean }>>()
    for (const { table, column, nullable } of rows) {
      const columns = real.get(camel(table)) ?? new Map<string, { nullable: boolean }>()
      columns.set(camel(column), { nullable })
      real.set(camel(table), columns)
    }
    const { tables } = readTypes(service)
    expect(tables.size).toBeGreaterThan(0)
    for (const [table, columns] of tables) {
      const declared = Object.fromEntries(columns)
      const actual = Object.fromEntries(real.get(table) ?? [])
      // Of a table of the runtime, a service names what it reads.
      if (runtimeTables.includes(table)) expect(actual, table).toMatchObject(declared)
      else expect(declared, table).toEqual(actual)
    }
    const own = await world.sql<{ name: string }>(
      `select c.relname as name from pg_class c where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
         and c.relname not like 'kysely\\_%'`,
      [schemaOf(service)],
    )
    const names = own.map((row) => camel(row.name)).filter((name) => !runtimeTables.includes(name))
    expect([...tables.keys()]).toEqual(expect.arrayContaining(names))
  })
})
