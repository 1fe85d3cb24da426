import { z } from 'zod'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/**
 * A zod schema inside a larger document: what it refers to (recursion, schemas named with `.meta({ id })`) moves to
 * `components`, shared by all who name it. Throws TypeError when two different schemas claim one name.
 */
export function embedSchema(
  schema: z.ZodType,
  name: string,
  io: 'input' | 'output',
  target: 'draft-7' | 'draft-2020-12',
  components: JsonObject,
): JsonObject {
  const { $schema: _, $defs, definitions, id: __, ...root } = z.toJSONSchema(schema, { io, target }) as unknown as JsonObject
  const defs = ($defs ?? definitions ?? {}) as JsonObject
  // A generated name (__schema0) is unique in its own schema only.
  const nameOf = (key: string) => (key.startsWith('__') ? `${name}${key}` : key)
  const move = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(move)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        if (key !== '$ref' || typeof inner !== 'string') return [key, move(inner)]
        return [key, `#/components/schemas/${inner === '#' ? name : nameOf(inner.split('/').at(-1) ?? '')}`]
      }),
    )
  }
  const add = (key: string, value: Json) => {
    const known = components[key]
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(value))
      throw new TypeError(`Two schemas are named ${key}.`)
    components[key] = value
  }
  for (const [key, value] of Object.entries(defs)) {
    const { id: ___, ...body } = move(value) as JsonObject
    add(nameOf(key), body)
  }
  const moved = move(root) as JsonObject
  if (!JSON.stringify(root).includes('"$ref":"#"')) return moved
  add(name, moved)
  return { $ref: `#/components/schemas/${name}` }
}

/** The text of a generated file: two spaces, a line end at the end, keys in the order in which they were made. */
export const printJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
