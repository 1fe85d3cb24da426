import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { toStrictJsonSchema } from './strict-schema.ts'
import { TurnAnswer } from './turn-schema.ts'

/** Every keyword in a schema, and every object node. */
function walk(node: unknown, keywords: Set<string>, objects: Record<string, unknown>[]): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) return node.forEach((child) => walk(child, keywords, objects))
  const schema = node as Record<string, unknown>
  if (schema.type === 'object') objects.push(schema)
  for (const [key, value] of Object.entries(schema)) {
    keywords.add(key)
    if (key === 'properties') for (const child of Object.values(value as object)) walk(child, keywords, objects)
    else walk(value, keywords, objects)
  }
}

test('the turn schema is one that strict mode takes', () => {
  const keywords = new Set<string>()
  const objects: Record<string, unknown>[] = []
  walk(toStrictJsonSchema(TurnAnswer), keywords, objects)
  // providers.md §7: every property required, additionalProperties false; lengths are not among the keywords it takes.
  const taken = [
    'type',
    'properties',
    'required',
    'additionalProperties',
    'enum',
    'items',
    'anyOf',
    'maxItems',
    'minimum',
    'maximum',
    'description',
  ]
  expect([...keywords].filter((keyword) => !taken.includes(keyword))).toEqual([])
  expect(objects).toHaveLength(3)
  for (const object of objects) {
    expect(object.additionalProperties).toBe(false)
    expect([...(object.required as string[])].sort()).toEqual(Object.keys(object.properties as object).sort())
  }
})

test('the model is told of a length limit in words', () => {
  expect(toStrictJsonSchema(z.strictObject({ a: z.string().max(25).describe('A title.') }))).toMatchObject({
    properties: { a: { type: 'string', description: 'A title. At most 25 characters.' } },
  })
})

describe('a schema that would not be enforced is our own mistake', () => {
  test.each([
    ['extra fields dropped silently', z.object({ a: z.string() }), 'schema: use z.strictObject'],
    ['extra fields let in', z.looseObject({ a: z.string() }), 'schema: use z.strictObject'],
    ['below the root', z.strictObject({ list: z.array(z.object({ a: z.string() })) }), 'schema.list[]: use z.strictObject'],
    ['in a choice', z.strictObject({ a: z.union([z.object({ b: z.string() }), z.null()]) }), 'schema.a: use z.strictObject'],
    ['an optional field', z.strictObject({ a: z.string().optional() }), 'schema.a: strict mode takes no optional field'],
    ['a default', z.strictObject({ a: z.string().default('x') }), 'schema.a: strict mode takes no optional field'],
    ['a record', z.strictObject({ a: z.record(z.string(), z.string()) }), 'schema.a: use z.strictObject'],
    ['a list at the root', z.array(z.string()), 'schema: the root must be a strict object'],
  ] as [string, z.ZodType, string][])('%s', (_name, schema, message) => {
    expect(() => toStrictJsonSchema(schema)).toThrow(message)
  })
})
