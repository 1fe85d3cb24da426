import { z } from 'zod'
import type { EventType } from './define-event.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
/** A JSON Schema, 2020-12. */
export type Schema = { readonly [keyword: string]: Json }

/** The promises of all events, by `type/version`: what contracts.snapshot.json holds. */
export type Snapshot = Readonly<Record<string, { key: string; schema: Schema }>>

/** What the events promise today. */
export function snapshotOf(events: readonly EventType[]): Snapshot {
  return Object.fromEntries(
    events.map((event) => {
      const { $schema: _, ...schema } = z.toJSONSchema(event.schema, { io: 'input' })
      return [`${event.type}/${event.version}`, { key: event.keyField, schema: schema as unknown as Schema }]
    }),
  )
}

/**
 * One sentence per promise of `before` that `after` breaks, naming the event and the field; none when all hold.
 * Two readers must stay safe: the new one meets events up to the stream's age old (whatever was valid stays valid), and
 * the old one meets new events while replicas are replaced (no field disappears, becomes optional or changes its type).
 * A longer enum or a wider bound is let through: deploy the readers before the writers.
 */
export function breakingChanges(before: Snapshot, after: Snapshot): string[] {
  return Object.entries(before).flatMap(([id, old]) => {
    const name = id.replace('/', ' version ')
    const now = after[id]
    if (!now) return [`${name} was removed, and the stream still holds events of it.`]
    const problems = compare(old.schema, now.schema, '', { before: old.schema, after: now.schema, seen: new Set() })
    if (old.key !== now.key) problems.unshift(`its key changed from ${old.key} to ${now.key}, which reorders what is in flight`)
    return problems.map((problem) => `${name}: ${problem}. Declare version ${Number(id.split('/')[1]) + 1} beside it.`)
  })
}

interface Roots {
  before: Schema
  after: Schema
  /** Pairs of references under comparison: a recursive schema ends here. */
  seen: Set<string>
}

/** Bounds by the direction in which they tighten. Any other keyword may not change at all: we cannot judge it. */
const lowerBounds = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties', 'minContains']
const upperBounds = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties', 'maxContains']
const judgedElsewhere = [
  'type',
  'enum',
  'const',
  'properties',
  'required',
  'items',
  'prefixItems',
  'additionalProperties',
  'propertyNames',
  'allOf',
]
const annotations = ['$schema', '$id', '$defs', 'title', 'description', 'default', 'examples', 'deprecated']
const judged = new Set([...lowerBounds, ...upperBounds, ...judgedElsewhere, ...annotations])

function compare(before: Schema, after: Schema, path: string, roots: Roots): string[] {
  if (before['$ref'] !== undefined || after['$ref'] !== undefined) {
    const pair = JSON.stringify([before['$ref'], after['$ref']])
    if (roots.seen.has(pair)) return []
    roots = { ...roots, seen: new Set([...roots.seen, pair]) }
  }
  const was = alternatives(before, roots.before)
  const is = alternatives(after, roots.after)
  const narrowed = was.flatMap((old) => {
    const candidates = is.filter((now) => typeOf(now) === typeOf(old) && kindOf(now) === kindOf(old))
    const results = (candidates.length > 0 ? candidates : is.filter((now) => typeOf(now) === typeOf(old))).map((now) =>
      compareOne(old, now, path, roots),
    )
    if (results.length === 0) return [`${field(path)} no longer accepts ${typeOf(old)}`]
    return results.toSorted((a, b) => a.length - b.length)[0] ?? []
  })
  const types = new Set(was.map(typeOf))
  const widened = [...new Set(is.map(typeOf))].filter((type) => !types.has(type))
  return [...narrowed, ...widened.map((type) => `${field(path)} may now be ${type}, which its readers do not expect`)]
}

/** A schema as the list of plain schemas of which a value must fit one: unions and type lists taken apart. */
function alternatives(schema: Schema, root: Schema): Schema[] {
  const { anyOf, oneOf, $ref, ...rest } = schema
  if (typeof $ref === 'string') return alternatives(resolve($ref, root), root)
  const branches = (anyOf ?? oneOf) as Schema[] | undefined
  if (branches) return branches.flatMap((branch) => alternatives({ ...rest, ...branch }, root))
  if (Array.isArray(schema['type'])) return schema['type'].map((type: Json) => ({ ...schema, type }))
  return [schema]
}

function resolve(ref: string, root: Schema): Schema {
  if (ref === '#') return root
  const found = (root['$defs'] as Record<string, Schema> | undefined)?.[ref.replace('#/$defs/', '')]
  if (!found) throw new TypeError(`The schema refers to ${ref}, which it does not define.`)
  return found
}

function typeOf(schema: Schema): string {
  if (typeof schema['type'] === 'string') return schema['type']
  const values = valuesOf(schema)
  return values?.[0] === null ? 'null' : values ? typeof values[0] : 'anything'
}

/** What tells the members of a discriminated union apart: their constant fields. */
function kindOf(schema: Schema): string {
  const constants = Object.entries(propertiesOf(schema)).filter(([, property]) => property['const'] !== undefined)
  return JSON.stringify(constants.toSorted(([a], [b]) => a.localeCompare(b)).map(([name, property]) => [name, property['const']]))
}

const propertiesOf = (schema: Schema) => (schema['properties'] ?? {}) as Record<string, Schema>
const requiredOf = (schema: Schema) => (schema['required'] ?? []) as string[]
const valuesOf = (schema: Schema) => (schema['const'] === undefined ? schema['enum'] : [schema['const']]) as Json[] | undefined
const field = (path: string) => path || 'its data'
const below = (path: string, name: string) => (path ? `${path}.${name}` : name)
const show = (value: Json | undefined) => (value === undefined ? 'nothing' : JSON.stringify(value))

function compareOne(before: Schema, after: Schema, path: string, roots: Roots): string[] {
  return [
    ...compareValues(before, after, path),
    ...compareBounds(before, after, path),
    ...compareFields(before, after, path, roots),
    ...compareParts(before, after, path, roots),
    ...[...new Set([...Object.keys(before), ...Object.keys(after)])]
      .filter((keyword) => !judged.has(keyword) && show(before[keyword]) !== show(after[keyword]))
      .map((keyword) => `${field(path)} changed its ${keyword} from ${show(before[keyword])} to ${show(after[keyword])}`),
  ]
}

function compareValues(before: Schema, after: Schema, path: string): string[] {
  const was = valuesOf(before)
  const is = valuesOf(after)
  if (!was && !is) return []
  if (!was) return [`${field(path)} now accepts only ${show(is)}`]
  if (!is) return [`${field(path)} is no longer a closed list`]
  return was.filter((value) => !is.includes(value)).map((value) => `${field(path)} no longer accepts ${show(value)}`)
}

function compareBounds(before: Schema, after: Schema, path: string): string[] {
  const tightened = (keyword: string, sign: 1 | -1) => {
    const is = after[keyword] as number | undefined
    const was = (before[keyword] as number | undefined) ?? -sign * Infinity
    return is !== undefined && sign * is > sign * was
  }
  return [
    ...lowerBounds.filter((keyword) => tightened(keyword, 1)),
    ...upperBounds.filter((keyword) => tightened(keyword, -1)),
  ].map(
    (keyword) => `${field(path)} is bounded tighter: ${keyword} went from ${show(before[keyword])} to ${show(after[keyword])}`,
  )
}

function compareFields(before: Schema, after: Schema, path: string, roots: Roots): string[] {
  const was = propertiesOf(before)
  const is = propertiesOf(after)
  const needed = (schema: Schema, name: string) => requiredOf(schema).includes(name)
  const kept = Object.entries(was).flatMap(([name, old]) => {
    const at = below(path, name)
    const now = is[name]
    if (!now) return [`${at} was removed`]
    const presence =
      needed(before, name) === needed(after, name)
        ? []
        : [needed(after, name) ? `${at} became required` : `${at} became optional, and its readers rely on it`]
    return [...presence, ...compare(old, now, at, roots)]
  })
  const added = requiredOf(after).filter((name) => !(name in was) && !needed(before, name))
  return [...kept, ...added.map((name) => `${below(path, name)} is new and required; add it as optional`)]
}

/** Lists, records, tuples and intersections. */
function compareParts(before: Schema, after: Schema, path: string, roots: Roots): string[] {
  const part = (keyword: string, at: string) => {
    const was = before[keyword]
    const is = after[keyword]
    if (isSchema(was) && isSchema(is)) return compare(was, is, at, roots)
    return show(was) === show(is) ? [] : [`${field(path)} changed its ${keyword} from ${show(was)} to ${show(is)}`]
  }
  const list = (keyword: string, at: (index: number) => string) => {
    const was = (before[keyword] ?? []) as Schema[]
    const is = (after[keyword] ?? []) as Schema[]
    if (was.length !== is.length) return [`${field(path)} has ${is.length} parts instead of ${was.length}`]
    return was.flatMap((old, index) => compare(old, is[index] ?? {}, at(index), roots))
  }
  return [
    ...part('items', `${path}[]`),
    ...part('additionalProperties', below(path, '*')),
    ...part('propertyNames', `the names in ${field(path)}`),
    ...list('prefixItems', (index) => `${path}[${index}]`),
    ...list('allOf', () => path),
  ]
}

const isSchema = (value: Json | undefined): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
