import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { takesIdempotencyKey } from '../../../packages/runtime/src/index.ts'
import { calls } from '../examples/calls.ts'
import { exampleOf, type Subject, subjectOf, withChanges } from '../examples/make.ts'
import { embedSchema, type Json, type JsonObject } from '../json-schema.ts'
import { failuresOf } from './failures.ts'
import { type SchemaNames, withNames } from './named-schemas.ts'
import { type FullRoute, isForOperators } from './route-shape.ts'
import { tidy } from './tidy.ts'

/** One address of a route: its own, or one of those that it answers alike. */
export interface Address {
  method: string
  path: string
  isAlias: boolean
}

/** Schemas that have a name: those that some operation refers to, and the names that there are. */
export interface SharedSchemas {
  schemas: JsonObject
  names: SchemaNames
}

/**
 * A call as the document has it, with examples of what is sent and answered. Throws TypeError for an example that the route's own
 * schema refuses: it cannot be shown, so it cannot rot.
 */
export function operation(route: FullRoute, { method, path, isAlias }: Address, tag: string, shared: SharedSchemas): JsonObject {
  const operationId = operationIdOf(method, path)
  const parameters = [
    ...parametersOf(route, path, operationId, shared),
    ...(takesIdempotencyKey(route) ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
  ]
  return {
    operationId,
    tags: [tag],
    summary: route.summary,
    description: descriptionOf(route, isAlias),
    security: securityOf(route),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: { required: !takesNothing(route.body), content: bodyOf(route, operationId, shared) } } : {}),
    responses: { [route.status]: successOf(route, operationId, shared), ...failuresOf(route) },
  }
}

/** `POST /v1/returns/:id/approve` → `postV1ReturnsByIdApprove`: unique because method and path are. */
function operationIdOf(method: string, path: string): string {
  const words = path.split(/[/.-]/).flatMap((part) => (part.startsWith(':') ? ['by', part.slice(1)] : part ? [part] : []))
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1).replace(/\W+/g, '_')).join('')
}

function descriptionOf(route: FullRoute, isAlias: boolean): string {
  return [
    isAlias ? `The same call as \`${route.method} ${route.path}\`, under the path that earlier clients use.` : '',
    whoMayCall(route),
    route.perMinute === null ? '' : `At most ${route.perMinute} calls a minute from one address.`,
    route.personalData === null ? '' : 'The answer holds personal data, so each call is noted in the audit log.',
  ]
    .filter((sentence) => sentence !== '')
    .join(' ')
}

function whoMayCall({ scope, path }: FullRoute): string {
  if (scope === 'public') return 'Anybody may call: no credential is needed.'
  if (scope === 'self') return 'Whoever is signed in may call, about themselves; API keys may not.'
  if (isForOperators(path)) return `For who runs the installation: a key of the operator with \`${scope}\`.`
  return `Needs the permission \`${scope}\`.`
}

/** A public call needs nothing; one about oneself needs to be signed in and no permission. */
function securityOf({ scope, path }: FullRoute): Json {
  if (scope === 'public') return []
  if (scope === 'self') return [{ accessToken: [] }]
  if (isForOperators(path)) return [{ operatorKey: [scope] }]
  return [{ accessToken: [scope] }, { apiKey: [scope] }]
}

function parametersOf(route: FullRoute, path: string, operationId: string, shared: SharedSchemas): JsonObject[] {
  const paths = fieldsOf(route.params && embed(route.params, 'input', `${operationId}Params`, shared))
  const queries = fieldsOf(route.query && embed(route.query, 'input', `${operationId}Query`, shared))
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => {
    const schema = paths.find((field) => field.name === name)?.schema ?? { type: 'string' }
    const example = exampleOf(schema, shared.schemas, subjectOf(route.method, route.path, name), [name])
    return { name, in: 'path', required: true, ...describedBy(schema), schema, example }
  })
  const inQuery = queries.map(({ name, schema, required }) => {
    const example = exampleOf(schema, shared.schemas, subjectOf(route.method, route.path), [name])
    // Beside an optional parameter an `example` is filled in by Swagger UI, and what should list everything lists one.
    return { name, in: 'query', required, ...describedBy(schema), schema: { ...schema, examples: [example] } }
  })
  assertFits(route, 'path', route.params, Object.fromEntries(inPath.map(({ name, example }) => [name, example])))
  const together = Object.fromEntries(inQuery.map(({ name, schema }) => [name, schema.examples[0] as Json]))
  // Each by itself, as a caller would try it; where two go together, all of them.
  for (const { name } of inQuery)
    if (!route.query?.safeParse({ [name]: together[name] }).success) assertFits(route, 'query', route.query, together)
  return [...inPath, ...inQuery]
}

function bodyOf(route: FullRoute, operationId: string, shared: SharedSchemas): JsonObject {
  const schema = embed(route.body as z.ZodType, 'input', `${operationId}Body`, shared)
  const subject = subjectOf(route.method, route.path)
  const example = calls[subject.call]?.body ?? exampleOf(schema, shared.schemas, subject)
  assertFits(route, 'body', route.body, example)
  return { 'application/json': { schema, example } }
}

function successOf(route: FullRoute, operationId: string, shared: SharedSchemas): JsonObject {
  const headers = {
    ...(route.scope === 'public' || route.scope === 'self' || isForOperators(route.path)
      ? {}
      : {
          RateLimit: { $ref: '#/components/headers/RateLimit' },
          'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
        }),
    ...(takesIdempotencyKey(route) ? { 'Idempotent-Replayed': { $ref: '#/components/headers/IdempotentReplayed' } } : {}),
  }
  const shown = Object.keys(headers).length > 0 ? { headers } : {}
  if (route.status === 204) return { description: 'Done.', ...shown }
  const schema = embed(route.reply, 'output', `${operationId}Reply`, shared)
  const example = replyExample(route, schema, shared, subjectOf(route.method, route.path))
  return {
    description: successWords[route.status] ?? 'The answer.',
    ...shown,
    content: { 'application/json': { schema, example } },
  }
}

const successWords: Readonly<Record<number, string>> = { 201: 'Made.', 202: 'Accepted: it will be done.' }

function replyExample(route: FullRoute, schema: JsonObject, shared: SharedSchemas, subject: Subject): Json {
  const base = exampleOf(schema, shared.schemas, subject)
  const changes = calls[subject.call]?.reply
  const example = changes === undefined ? base : withChanges(base, changes, subject.call)
  assertFits(route, 'reply', route.reply, example)
  // A field that the schema does not know would be dropped in silence.
  if (!isDeepStrictEqual(route.reply.parse(example), example))
    throw new TypeError(`${subject.call}: the example of its reply has fields that its schema does not know.`)
  return example
}

function assertFits(route: FullRoute, where: string, schema: z.ZodType | undefined, example: Json): void {
  const parsed = schema?.safeParse(example)
  if (parsed === undefined || parsed.success) return
  const [issue] = parsed.error.issues
  const field = [where, ...(issue?.path ?? [])].join('.')
  throw new TypeError(`${route.method} ${route.path}: the example does not fit its schema: ${field}: ${issue?.message}`)
}

const takesNothing = (schema: z.ZodType) => schema.safeParse({}).success

const embed = (schema: z.ZodType, io: 'input' | 'output', name: string, { schemas, names }: SharedSchemas) =>
  withNames(tidy(embedSchema(schema, name, io, 'draft-2020-12', schemas)), names, schemas) as JsonObject

/** The fields of an object, wherever it is written down. */
function fieldsOf(schema: JsonObject | undefined): { name: string; schema: JsonObject; required: boolean }[] {
  const required = (schema?.['required'] ?? []) as string[]
  return Object.entries((schema?.['properties'] ?? {}) as JsonObject).map(([name, inner]) => ({
    name,
    schema: inner as JsonObject,
    required: required.includes(name),
  }))
}

const describedBy = ({ description }: JsonObject) => (description === undefined ? {} : { description })
