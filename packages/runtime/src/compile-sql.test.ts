import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  CamelCasePlugin,
  type RawBuilder,
  sql,
} from 'kysely'
import { expect, test } from 'vitest'
import { NamesPlugin, SqlCompiler } from './compile-sql.ts'

function kyselyWith(compiler: PostgresQueryCompiler, plugin: CamelCasePlugin) {
  return new Kysely<unknown>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => compiler,
    },
    plugins: [plugin],
  })
}
const ours = kyselyWith(new SqlCompiler(), new NamesPlugin())
const theirs = kyselyWith(new PostgresQueryCompiler(), new CamelCasePlugin())

const written = (id: unknown, name: unknown) => sql`select a_b from t where id = ${id} and name = any(${name}) limit 1`
const part = (id: number) => sql`id = ${id}`

test.each<[string, () => RawBuilder<unknown>]>([
  ['only words', () => sql`select 1`],
  ['values', () => written(1, ['x', 'y'])],
  ['values first and last', () => sql`${1} = ${2}`],
  [
    'null, undefined, dates, objects and bytes',
    () => sql`select ${null}, ${undefined}, ${new Date(0)}, ${{ a: 1 }}, ${Buffer.from('x')}`,
  ],
  ['more than nine values', () => sql`select ${1}, ${2}, ${3}, ${4}, ${5}, ${6}, ${7}, ${8}, ${9}, ${10}, ${11}`],
  ['a part in it', () => sql`select 1 from t where ${part(5)} and x = ${6}`],
  ['parts in parts', () => sql`${sql`a = ${1} and ${part(2)}`} or ${part(3)} or d = ${[4]} ${sql``}`],
  ['a name in a part of it', () => sql`select 1 where ${sql`${sql.ref('someColumn')} = ${1}`} and b = ${2}`],
  ['a name in it', () => sql`select ${sql.ref('someColumn')} from ${sql.table('someTable')} where x = ${6}`],
  ['a literal in it', () => sql`select ${sql.lit('it')} where x = ${6}`],
  ['a list in it', () => sql`select 1 where x in (${sql.join([1, 2, 3])})`],
  ['words from elsewhere', () => sql`select 1 from ${sql.raw('t')}`],
])('a statement with %s is compiled as Kysely does', (_what, make) => {
  const expected = make().compile(theirs)
  for (let i = 0; i < 2; i++) {
    const compiled = make().compile(ours)
    expect({ sql: compiled.sql, parameters: compiled.parameters }).toEqual({ sql: expected.sql, parameters: expected.parameters })
  }
})

test('a statement that is built goes to Kysely’s compiler, names and all', () => {
  const build = (db: Kysely<unknown>) =>
    (db as Kysely<{ someTable: { someColumn: string } }>)
      .selectFrom('someTable')
      .select('someColumn')
      .where('someColumn', '=', 'x')
  expect(build(ours).compile().sql).toBe('select "some_column" from "some_table" where "some_column" = $1')
  expect(build(ours).compile().sql).toBe(build(theirs).compile().sql)
})
