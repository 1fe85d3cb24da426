import { z } from 'zod'

type Schema = Record<string, unknown> & {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  minItems?: number
  default?: unknown
  $ref?: string
  $defs?: Record<string, Schema>
}

/**
 * A small value that a schema takes: what is required, and the first optional field where nothing is (a change must change something).
 * Every field that is an id gets `id`.
 */
export function sampleOf(schema: z.ZodType, id: string): unknown {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema
  return valueOf(root, root, id)
}

function valueOf(schema: Schema, root: Schema, id: string): unknown {
  if (schema.$ref !== undefined) return valueOf(root.$defs?.[schema.$ref.split('/').at(-1) as string] ?? {}, root, id)
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const choice = (schema.anyOf ?? schema.oneOf)?.find((option) => option.type !== 'null')
  if (choice !== undefined) return valueOf(choice, root, id)
  if (schema.allOf !== undefined) return Object.assign({}, ...schema.allOf.map((part) => valueOf(part, root, id)))
  if (schema.type === 'object') return objectOf(schema, root, id)
  if (schema.type === 'array')
    return Array.from({ length: Math.max(1, schema.minItems ?? 0) }, () => valueOf(schema.items ?? {}, root, id))
  if (schema.type === 'integer' || schema.type === 'number') return Math.max(schema.minimum ?? 1, 1)
  return schema.type === 'boolean' ? true : textOf(schema, id)
}

function objectOf(schema: Schema, root: Schema, id: string): Record<string, unknown> {
  const properties = Object.entries(schema.properties ?? {})
  const required = properties.filter(([name]) => schema.required?.includes(name))
  return Object.fromEntries(
    (required.length > 0 ? required : properties.slice(0, 1)).map(([name, part]) => [name, valueOf(part, root, id)]),
  )
}

function textOf({ format, minLength = 0, maxLength = 1_000, pattern }: Schema, id: string): string {
  if (format === 'uuid') return id
  if (format === 'email') return 'somebody@example.com'
  if (format === 'uri') return 'https://example.com/'
  if (format === 'date-time') return new Date(Date.now() + 86_400_000).toISOString()
  // A code of six digits, as authenticators show it.
  if (pattern?.includes('\\d{6}') || pattern?.includes('[0-9]{6}')) return '123456'
  // One word, of the length of our tokens.
  return 'a-sample-of-forty-three-characters'.padEnd(Math.max(minLength, 43), 'x').slice(0, maxLength)
}
