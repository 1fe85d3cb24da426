import { z } from 'zod'
import { Channel, Permission, Role } from '../../../packages/contracts/src/index.ts'
import { embedSchema, type Json, type JsonObject } from '../json-schema.ts'
import type { FullRoute } from './route-shape.ts'
import { tidy } from './tidy.ts'

/** Schemas that many calls share, by their text; a client made out of the document gets one type for each. */
export type SchemaNames = ReadonlyMap<string, string>

/** What calls list and read, named by the path that it is had at, and the words that are everywhere. */
export function namedSchemas(routes: readonly FullRoute[]): SchemaNames {
  const names = new Map<string, string>()
  const add = (name: string, schema: Json | undefined) => {
    const taken = new Set(names.values())
    const text = JSON.stringify(schema)
    if (schema === undefined || names.has(text) || '$ref' in (schema as JsonObject)) return
    names.set(text, [name, `${name}Details`, `${name}Item`].find((free) => !taken.has(free)) ?? fail(name))
  }
  for (const [name, schema] of Object.entries({ Permission, Role, ChannelKind: Channel }))
    add(name, plain(z.array(schema))['items'])
  const read = routes.filter(({ method, status }) => method === 'GET' && status === 200)
  // What a list shows is the thing itself; what is read alone may say more of it.
  const lists = read.map(({ path, reply }) => ({ path, item: itemsOf(plain(reply)) }))
  for (const { path, item } of lists) if (item) add(nameOf(path), item)
  for (const [place, { path, reply }] of read.entries()) if (!lists[place]?.item) add(nameOf(path), plain(reply))
  return names
}

/** The schema with references in place of what has a name, which goes into `schemas`. */
export function withNames(schema: Json, names: SchemaNames, schemas: JsonObject): Json {
  if (Array.isArray(schema)) return schema.map((part) => withNames(part, names, schemas))
  if (typeof schema !== 'object' || schema === null) return schema
  const name = names.get(JSON.stringify(schema))
  if (name === undefined) return partsOf(schema, names, schemas)
  schemas[name] ??= partsOf(schema, names, schemas)
  return { $ref: `#/components/schemas/${name}` }
}

const partsOf = (schema: JsonObject, names: SchemaNames, schemas: JsonObject) =>
  Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, withNames(part, names, schemas)]))

const plain = (schema: z.ZodType) => tidy(embedSchema(schema, 'plain', 'output', 'draft-2020-12', {})) as JsonObject

const itemsOf = (reply: JsonObject) =>
  ((reply['properties'] as JsonObject | undefined)?.['items'] as JsonObject | undefined)?.['items'] as JsonObject | undefined

/** `/v1/conversations/:id/messages` → `Message`, `/v1/usage/logs` → `UsageLog`: the words behind the last parameter but the own one. */
function nameOf(path: string): string {
  const better = betterNames[path]
  if (better !== undefined) return better
  const words = path
    .replace(/\/:\w+$/, '')
    .split('/')
    .slice(2)
  const own = words
    .slice(words.findLastIndex((word) => word.startsWith(':')) + 1)
    .filter((word) => word !== 'me' || words.length === 1)
  return own
    .flatMap((word) => word.split('-'))
    .map((word, place, all) => (place === all.length - 1 ? singular(word) : word))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** Where a path says less than the thing is called. */
const betterNames: Readonly<Record<string, string>> = {
  '/v1/me': 'Person',
  '/v1/organizations': 'Membership',
  '/v1/audit': 'AuditEntry',
}

const singular = (word: string) => word.replace(/(?<!u)s$/, '')

function fail(name: string): never {
  throw new TypeError(`Three schemas would be named ${name}.`)
}
