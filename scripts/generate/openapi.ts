import type { z } from 'zod'
import { embedSchema, type Json, type JsonObject } from './json-schema.ts'

/** What the document needs to know of a route; packages/runtime's Route is one. */
export interface RouteShape {
  method: string
  /** Parameters as `:name`. */
  path: string
  /** `METHOD /path`, answering alike. */
  also?: readonly string[] | undefined
  summary: string
  scope: string
  params?: z.ZodType | undefined
  query?: z.ZodType | undefined
  body?: z.ZodType | undefined
  reply: z.ZodType
  status?: number | undefined
}

/** docs/openapi.json, OpenAPI 3.1. Throws TypeError when two routes claim one method and path. */
export function openapi(
  services: readonly { name: string; summary?: string; routes: readonly RouteShape[] }[],
  version: string,
): JsonObject {
  const schemas: JsonObject = { Error: errorSchema }
  const paths: Record<string, JsonObject> = {}
  for (const service of services) {
    for (const route of service.routes) {
      for (const { method, path, isAlias } of addressesOf(route)) {
        const item = (paths[templateOf(path)] ??= {})
        if (method in item) throw new TypeError(`Two routes answer ${method.toUpperCase()} ${path}.`)
        item[method] = operation(service.name, { ...route, path }, method, isAlias, schemas)
      }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      description: 'The HTTP interface of all services, through one address. Generated from the routes.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: services
      .filter(({ routes }) => routes.length > 0)
      .map(({ name, summary }) => ({ name, ...(summary ? { description: summary } : {}) })),
    paths: Object.fromEntries(Object.entries(paths).toSorted(([a], [b]) => a.localeCompare(b))),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'An access token of a person, or an API key of one organization.',
        },
      },
      parameters: { IdempotencyKey: idempotencyKey },
      responses: Object.fromEntries(Object.values(errors).map(([name, description]) => [name, errorResponse(description)])),
      schemas,
    },
  }
}

function addressesOf(route: RouteShape): { method: string; path: string; isAlias: boolean }[] {
  const aliases = (route.also ?? []).map((text) => {
    const [method = '', path = ''] = text.split(' ')
    if (!/^[A-Z]+$/.test(method) || !path.startsWith('/'))
      throw new TypeError(`'${text}' of ${route.path} must look like METHOD /path.`)
    return { method: method.toLowerCase(), path, isAlias: true }
  })
  return [{ method: route.method.toLowerCase(), path: route.path, isAlias: false }, ...aliases]
}

const templateOf = (path: string) => path.replace(/:(\w+)/g, '{$1}')

/** `POST /v1/returns/:id/approve` → `postV1ReturnsByIdApprove`: unique because method and path are. */
function operationIdOf(method: string, path: string): string {
  const words = path.split(/[/.-]/).flatMap((part) => (part.startsWith(':') ? ['by', part.slice(1)] : part ? [part] : []))
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1).replace(/\W+/g, '_')).join('')
}

function operation(service: string, route: RouteShape, method: string, isAlias: boolean, schemas: JsonObject): JsonObject {
  const operationId = operationIdOf(method, route.path)
  const embed = (schema: z.ZodType, io: 'input' | 'output', part: string) =>
    embedSchema(schema, operationId + part, io, 'draft-2020-12', schemas)
  const parameters = [
    ...pathParameters(route, route.params && embed(route.params, 'input', 'Params')),
    ...fieldsOf(route.query && embed(route.query, 'input', 'Query')).map(({ name, schema, required }) => ({
      name,
      in: 'query',
      required,
      schema,
    })),
    ...(takesKey(method, route) ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
  ]
  const status = route.status ?? 200
  const success: JsonObject = { description: status === 204 ? 'Done.' : 'The answer.' }
  if (status !== 204) success['content'] = { 'application/json': { schema: embed(route.reply, 'output', 'Reply') } }
  const failures = Object.entries(errors).filter(
    ([code]) => (code !== '404' || route.path.includes(':')) && (code !== '422' || takesKey(method, route)),
  )
  return {
    operationId,
    tags: [service],
    summary: route.summary,
    ...(isAlias ? { description: 'The same call under the path that earlier clients use.' } : {}),
    security: securityOf(route.scope),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body
      ? { requestBody: { required: true, content: { 'application/json': { schema: embed(route.body, 'input', 'Body') } } } }
      : {}),
    responses: {
      [status]: success,
      ...Object.fromEntries(failures.map(([code, [name]]) => [code, { $ref: `#/components/responses/${name}` }])),
    },
  }
}

/** The runtime carries such a call out once per key; public calls have no owner that a key could belong to. */
const takesKey = (method: string, route: RouteShape) => method === 'post' && route.scope !== 'public'

const idempotencyKey: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A random text of yours for this one call, such as a UUID. Sent again within 24 hours by the same caller, with the same path, query and body, the call is not carried out again: the answer is the first one, with `idempotent-replayed: true`. Another body or query is refused with 422. While the first is still under way, the second waits five seconds and then gets 409 with Retry-After. 409 with `details.reason` `answer_lost` means carried out, answer lost: look at what it made. A call that was refused or failed is not remembered.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
}

/** A public call needs nothing; one about oneself needs to be signed in and no permission. */
function securityOf(scope: string): Json {
  if (scope === 'public') return []
  return [{ bearer: scope === 'self' ? [] : [scope] }]
}

function pathParameters(route: RouteShape, schema: JsonObject | undefined): JsonObject[] {
  const described = fieldsOf(schema)
  return [...route.path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: described.find((field) => field.name === name)?.schema ?? { type: 'string' },
  }))
}

function fieldsOf(schema: JsonObject | undefined): { name: string; schema: Json; required: boolean }[] {
  const required = (schema?.['required'] ?? []) as string[]
  return Object.entries((schema?.['properties'] ?? {}) as JsonObject).map(([name, inner]) => ({
    name,
    schema: inner,
    required: required.includes(name),
  }))
}

const errors = {
  400: ['BadRequest', 'The request does not fit its schema; details name the field.'],
  401: ['Unauthenticated', 'The credential is missing, unknown or expired.'],
  403: ['Forbidden', 'The credential lacks the scope.'],
  404: ['NotFound', 'The organization has nothing by that name.'],
  409: ['Conflict', 'The state of the thing does not allow it.'],
  413: ['TooLarge', 'The body is larger than allowed.'],
  422: [
    'Unprocessable',
    'The request can be read, and cannot be carried out: its Idempotency-Key, for one, was used for another one.',
  ],
  429: ['TooManyRequests', 'Too many calls: wait for Retry-After.'],
  500: ['InternalError', 'Our fault, and logged.'],
  503: ['Unavailable', 'A part is down for the moment: try again.'],
} as const

const errorSchema: JsonObject = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string', description: 'Stable, for programs.' },
        message: { type: 'string', description: 'One sentence, for people.' },
        details: { description: 'What went wrong where, when there is more to say.' },
      },
    },
  },
}

const errorResponse = (description: string): JsonObject => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
})
