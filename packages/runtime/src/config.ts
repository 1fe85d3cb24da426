import { z } from 'zod'

const secretMark = Symbol.for('parley.secret')

/** A secret from the environment. Printing, logging or serialising it shows a mask; `reveal()` gives the text. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }
  reveal(): string {
    return this.#text
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}

/** A required secret of at least `minLength` characters. */
export function secret(minLength = 1): z.ZodType<Secret> {
  const schema = z
    .string()
    .min(minLength)
    .transform((text) => new Secret(text))
  return Object.assign(schema, { [secretMark]: true })
}

/** An environment number with a default. */
export function number(fallback: number, range: { min?: number; max?: number } = {}): z.ZodType<number> {
  return z.coerce
    .number()
    .min(range.min ?? 0)
    .max(range.max ?? Number.MAX_SAFE_INTEGER)
    .default(fallback)
}

/** An environment switch: 1/true/yes/on or 0/false/no/off. */
export function flag(fallback: boolean): z.ZodType<boolean> {
  return z.stringbool().default(fallback)
}

export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Reads the environment through a schema. Throws one ConfigError that lists every problem, never a value. */
export function readConfig<T>(schema: z.ZodType<T>, environment: Record<string, string | undefined>): T {
  // An empty variable is an unset one: compose files and Kubernetes write them so.
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''))
  const result = schema.safeParse(present)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(environment)'}: ${issue.message}`)
  throw new ConfigError(
    `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.join('\n')}`,
  )
}
