import type { Json, JsonObject } from '../json-schema.ts'

const formats = ['uuid', 'date-time', 'date', 'email', 'uri']

/**
 * Takes out what says nothing to a reader: the pattern beside a format that means the same (zod writes 300 characters for a date),
 * and the bounds of safe integers.
 */
export function tidy(value: Json): Json {
  if (Array.isArray(value)) return value.map(tidy)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => !isNoise(name, inner, value))
      .map(([name, inner]) => [name, tidy(inner)]),
  )
}

function isNoise(name: string, inner: Json, schema: JsonObject): boolean {
  if (name === 'pattern') return formats.some((format) => format === schema['format'])
  if (name === 'minimum') return inner === Number.MIN_SAFE_INTEGER
  return name === 'maximum' && inner === Number.MAX_SAFE_INTEGER
}
