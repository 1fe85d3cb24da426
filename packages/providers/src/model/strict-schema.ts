import { z } from 'zod'

type JsonSchema = { [key: string]: unknown }

/** Keywords that strict structured output does not take; zod checks them after the answer (providers.md §7). */
const notForTheModel = ['$schema', 'minLength', 'maxLength', 'default', 'format'] as const
const cache = new WeakMap<z.ZodType, JsonSchema>()

/**
 * The JSON Schema of a zod schema, as OpenAI's strict mode takes it. Throws TypeError naming the place when an object is not
 * strict or a field is optional: the API would refuse it, and zod would drop extra fields silently instead of refusing them.
 * Length limits become words in the description, since the model should know them.
 */
export function toStrictJsonSchema(schema: z.ZodType): JsonSchema {
  const known = cache.get(schema)
  if (known) return known
  // The input side, because only there zod tells a strict object from one that ignores extra fields.
  const json = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as JsonSchema
  if (json.type !== 'object') throw new TypeError('schema: the root must be a strict object.')
  const strict = tighten(json, 'schema')
  cache.set(schema, strict)
  return strict
}

function tighten(node: JsonSchema, path: string): JsonSchema {
  const out: JsonSchema = {}
  for (const [key, value] of Object.entries(node)) {
    if ((notForTheModel as readonly string[]).includes(key)) continue
    out[key] = tightenChild(key, value, path)
  }
  if (typeof node.maxLength === 'number') {
    const limit = `At most ${node.maxLength} characters.`
    out.description = typeof node.description === 'string' ? `${node.description} ${limit}` : limit
  }
  if (node.type === 'object') checkObject(node, path)
  return out
}

function tightenChild(key: string, value: unknown, path: string): unknown {
  if (key === 'properties' || key === 'definitions' || key === '$defs') {
    return Object.fromEntries(
      Object.entries(value as JsonSchema).map(([name, child]) => [name, tighten(child as JsonSchema, `${path}.${name}`)]),
    )
  }
  if (key === 'items' && !Array.isArray(value)) return tighten(value as JsonSchema, `${path}[]`)
  if (key === 'anyOf') return (value as JsonSchema[]).map((child) => tighten(child, path))
  if (key === 'oneOf' || key === 'allOf') throw new TypeError(`${path}: strict mode takes no ${key}.`)
  return value
}

function checkObject(node: JsonSchema, path: string): void {
  if (node.additionalProperties !== false) throw new TypeError(`${path}: use z.strictObject, extra fields must be refused.`)
  const required = new Set(node.required as string[] | undefined)
  const optional = Object.keys((node.properties ?? {}) as JsonSchema).find((name) => !required.has(name))
  if (optional !== undefined) throw new TypeError(`${path}.${optional}: strict mode takes no optional field, use nullable.`)
}
