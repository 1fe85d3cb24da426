import type { Json, JsonObject } from '../json-schema.ts'
import { byNoun, common, type Fields } from './fields.ts'

/** Whose example is made: the words of the call's path, for a sentence that says what is missing. */
export interface Subject {
  /** `GET /v1/api-keys/:keyId`. */
  call: string
  /** The tables to look a field up in, the best first. */
  tables: readonly Fields[]
}

/** `GET /v1/conversations/:id/messages`: its answer is about messages, its `:id` about conversations. */
export function subjectOf(method: string, path: string, upTo?: string): Subject {
  const words = path.split('/').filter(Boolean)
  const end = upTo === undefined ? words.length : words.indexOf(`:${upTo}`)
  const nouns = words.slice(0, end).filter((word) => Object.hasOwn(byNoun, word))
  return { call: `${method} ${path}`, tables: [...nouns.toReversed().map((noun) => byNoun[noun] as Fields), common] }
}

const deepest = 8

/**
 * An example of a schema out of the tables of fields. Throws TypeError for a field that has none: a text that means nothing helps no
 * reader, so that a new field is given a value by who adds it.
 */
export function exampleOf(schema: JsonObject, components: JsonObject, subject: Subject, path: readonly string[] = []): Json {
  const known = lookUp(subject, path)
  if (known !== undefined) return structuredClone(known)
  const inner = (part: Json | undefined, ...steps: string[]) =>
    exampleOf((part ?? {}) as JsonObject, components, subject, [...path, ...steps])
  const { $ref, const: constant, enum: choices, type, default: usual } = schema
  if (typeof $ref === 'string') return inner(components[$ref.split('/').at(-1) ?? ''])
  if (constant !== undefined) return constant
  if (usual !== undefined) return usual
  if (Array.isArray(choices)) return choices[0] as Json
  const options = (schema['anyOf'] ?? schema['oneOf']) as JsonObject[] | undefined
  if (options !== undefined) return inner(options.find((option) => option['type'] !== 'null'))
  const types = [type].flat()
  if (types.includes('object')) return objectOf(schema, inner)
  // What holds itself would have no end.
  if (types.includes('array')) return path.length > deepest ? [] : [inner(schema['items'])]
  if (types.includes('boolean')) return false
  throw new TypeError(
    `${subject.call}: '${path.join('.')}' has no example. Give it one in scripts/generate/examples/fields.ts (or calls.ts).`,
  )
}

function objectOf(schema: JsonObject, inner: (part: Json, step: string) => Json): JsonObject {
  const properties = Object.entries((schema['properties'] ?? {}) as JsonObject)
  return Object.fromEntries(properties.map(([name, part]) => [name, inner(part, name)]))
}

/** By the field's parent and name, then by its name; in the tables of the call's own nouns first. */
function lookUp({ tables }: Subject, path: readonly string[]): Json | undefined {
  const name = path.at(-1)
  if (name === undefined) return undefined
  const qualified = `${path.at(-2) ?? 'reply'}.${name}`
  for (const table of tables) {
    if (table[qualified] !== undefined) return table[qualified]
    if (table[name] !== undefined) return table[name]
  }
  return undefined
}

/** `base` with what differs; lists and texts are replaced, objects gone into. Throws TypeError for a field that `base` lacks. */
export function withChanges(base: Json, changes: JsonObject, call: string): Json {
  if (Array.isArray(base) || typeof base !== 'object' || base === null)
    throw new TypeError(`${call}: an example that is no object cannot differ in fields.`)
  const merged: JsonObject = { ...base }
  for (const [name, change] of Object.entries(changes)) {
    if (!(name in base)) throw new TypeError(`${call}: scripts/generate/examples/calls.ts changes '${name}', which is not there.`)
    merged[name] = isObject(change) && isObject(base[name]) ? withChanges(base[name], change, call) : change
  }
  return merged
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
