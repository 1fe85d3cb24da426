import { createRequire } from 'node:module'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { allEvents, Role } from '../../packages/contracts/src/index.ts'
import { asyncapi } from './asyncapi.ts'
import { ids } from './examples/cast.ts'
import type { Json, JsonObject } from './json-schema.ts'
import { openapi, type RouteShape } from './openapi.ts'

/** Every `$ref` of a document, with what it points at. */
function referencesOf(document: JsonObject): Map<string, Json | undefined> {
  const found = new Map<string, Json | undefined>()
  const lookUp = (ref: string) =>
    ref
      .slice(2)
      .split('/')
      .reduce<Json | undefined>((at, step) => (at as JsonObject | undefined)?.[step.replace(/~1/g, '/')], document)
  const walk = (value: Json) => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === '$ref' && typeof inner === 'string') found.set(inner, lookUp(inner))
      else walk(inner)
    }
  }
  walk(document)
  return found
}

const at = (document: JsonObject, ...path: string[]) =>
  path.reduce<Json | undefined>((value, step) => (value as JsonObject | undefined)?.[step], document)

describe('docs/asyncapi.json', () => {
  const events = allEvents()
  const received = { type: 'message.received', version: 1 }
  const document = asyncapi(
    events,
    [
      { name: 'ingest', hears: [], states: [received] },
      { name: 'inbox', hears: [received], states: [] },
    ],
    '1.2.3',
  )

  test('is a valid AsyncAPI 3.0 document by the specification’s own schema', () => {
    const schema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json') as object
    const ajv = new Ajv({ strict: false, allErrors: true })
    addFormats.default(ajv)
    const validate = ajv.compile(schema)
    expect(validate(document) ? [] : validate.errors?.slice(0, 3)).toEqual([])
    expect(validate({ ...document, channels: { wrong: { address: 5 } } })).toBe(false)
  })

  test('has a channel per type and a message per version, and every reference leads somewhere', () => {
    expect(Object.keys(document['channels'] as JsonObject)).toEqual([...new Set(events.map(({ type }) => type))].toSorted())
    expect(Object.keys(at(document, 'components', 'messages') as JsonObject)).toHaveLength(events.length)
    const references = referencesOf(document)
    expect(references.size).toBeGreaterThan(events.length)
    expect([...references].filter(([, target]) => target === undefined)).toEqual([])
  })

  test('gives the subject, the envelope and the data of an event', () => {
    expect(at(document, 'channels', 'message.received', 'address')).toBe('evt.{lane}.message.received.{organization}.{key}')
    const parts = at(document, 'components', 'messages', 'message.received.v1', 'payload', 'allOf')
    expect(parts).toEqual([
      { $ref: '#/components/schemas/Envelope' },
      {
        type: 'object',
        properties: {
          type: { const: 'message.received' },
          dataversion: { const: 1 },
          data: expect.objectContaining({ required: expect.arrayContaining(['chatKey']) }),
        },
      },
    ])
    expect(at(document, 'components', 'schemas', 'Envelope', 'required')).toEqual(
      expect.arrayContaining(['specversion', 'organizationid', 'correlationid']),
    )
  })

  test('says who states and who hears', () => {
    expect(at(document, 'operations', 'ingest.states.message.received.v1', 'action')).toBe('send')
    expect(at(document, 'operations', 'inbox.hears.message.received.v1', 'action')).toBe('receive')
  })

  test('refuses a service that hears what nobody declared', () => {
    const services = [{ name: 'inbox', hears: [{ type: 'no.such', version: 1 }], states: [] }]
    expect(() => asyncapi(events, services, '1')).toThrow('inbox hears no.such.v1, which packages/contracts does not declare.')
  })
})

describe('docs/openapi.json', () => {
  const Node: z.ZodObject = z.object({
    name: z.string(),
    get children() {
      return z.array(Node)
    },
  })
  const Money = z.object({ amountMinor: z.int() }).meta({ id: 'Money' })
  const reply = z.object({})
  const tags = [{ name: 'Returns', description: 'What comes back.', words: ['returns', 'agents', 'transactions'] }]
  const routes: RouteShape[] = [
    {
      method: 'POST',
      path: '/v1/returns',
      also: ['POST /functions/v1/init-return'],
      summary: 'Ask to send something back.',
      scope: 'conversations:write',
      body: z.object({ reason: z.string(), limit: z.int().default(5) }),
      reply: z.object({ userId: z.string() }),
      status: 201,
    },
    {
      method: 'GET',
      path: '/v1/agents/:id',
      summary: 'One agent.',
      scope: 'agents:read',
      refuses: { not_found: 'No agent with that id.', gone: ['It left.', 'It was sent away.'] },
      params: z.object({ id: z.uuid() }),
      query: z.object({ limit: z.coerce.number().int().max(90), cursor: z.string().optional() }),
      reply: Node,
    },
    {
      method: 'DELETE',
      path: '/v1/returns/:userId',
      summary: 'Forget it.',
      scope: 'conversations:write',
      reply: z.void(),
      status: 204,
    },
  ]
  const make = (...given: RouteShape[]) => openapi([{ name: 'triage', routes: given }], '1.2.3', tags)
  const document = make(...routes)

  test('describes parameters, body and answer of a route, each with an example', () => {
    const get = at(document, 'paths', '/v1/agents/{id}', 'get')
    expect(get).toMatchObject({
      operationId: 'getV1AgentsById',
      tags: ['Returns'],
      description: 'Needs the permission `agents:read`.',
      parameters: [
        { name: 'id', in: 'path', required: true, schema: { format: 'uuid' }, example: ids.agent },
        { name: 'limit', in: 'query', required: true, schema: { maximum: 90, examples: [25] } },
        { name: 'cursor', in: 'query', required: false },
      ],
    })
    const post = at(document, 'paths', '/v1/returns', 'post')
    expect(post).toMatchObject({
      requestBody: {
        content: { 'application/json': { schema: { required: ['reason'] }, example: { reason: expect.any(String), limit: 25 } } },
      },
      responses: { 201: { content: { 'application/json': { example: { userId: ids.colleague } } } } },
    })
    expect(at(document, 'paths', '/v1/returns/{userId}', 'delete', 'responses', '204', 'description')).toBe('Done.')
  })

  test('lists the refusals that a call can have and no others, with the words that are used', () => {
    const statuses = (path: string, method: string) => Object.keys(at(document, 'paths', path, method, 'responses') as JsonObject)
    expect(statuses('/v1/returns', 'post')).toEqual('201 400 401 403 409 413 415 422 429 500 503'.split(' '))
    expect(statuses('/v1/agents/{id}', 'get')).toEqual('200 400 401 403 404 410 429 500 503'.split(' '))
    // 400: a query parameter that a route does not know is refused everywhere.
    expect(statuses('/v1/returns/{userId}', 'delete')).toEqual('204 400 401 403 429 500 503'.split(' '))
    const refusal = (status: string) =>
      at(document, 'paths', '/v1/agents/{id}', 'get', 'responses', status, 'content', 'application/json', 'examples')
    expect(refusal('404')).toEqual({
      not_found: {
        summary: 'No agent with that id.',
        value: { error: { code: 'not_found', message: 'No agent with that id.' } },
      },
    })
    expect(Object.keys(refusal('410') as JsonObject)).toEqual(['gone_1', 'gone_2'])
    expect(refusal('403')).toMatchObject({
      missing_permission: { value: { error: { code: 'forbidden', message: "Your role does not allow 'agents:read'." } } },
    })
    // What the schema itself says to a wrong input.
    expect(refusal('400')).toMatchObject({
      a_field: { value: { error: { code: 'invalid', details: [{ field: 'path.id' }] } } },
    })
  })

  test('has no example that its schema refuses, and no field without one', () => {
    const [, one] = routes as [RouteShape, RouteShape, RouteShape]
    const failing = (change: Partial<RouteShape>) => () => make({ ...one, ...change })
    expect(failing({ reply: z.object({ name: z.string().max(3) }) })).toThrow(
      'GET /v1/agents/:id: the example does not fit its schema',
    )
    expect(failing({ reply: z.object({ colour: z.string() }) })).toThrow("GET /v1/agents/:id: 'colour' has no example.")
    expect(failing({ query: z.object({ limit: z.coerce.number().max(3) }) })).toThrow('query.limit')
    expect(failing({ params: z.object({ id: z.literal('x') }) })).toThrow('path.id')
    expect(failing({ path: '/v1/colours/:id' })).toThrow("add 'colours' to scripts/generate/openapi/tags.ts")
  })

  test('says who may call: anybody, whoever is signed in, or whoever has the permission', () => {
    const scopes = ['public', 'self', 'agents:read'] as const
    const { paths } = make(
      ...scopes.map(
        (scope): RouteShape => ({ method: 'GET', path: `/v1/agents/${scope.slice(0, 4)}`, summary: '', scope, reply }),
      ),
    ) as { paths: JsonObject }
    expect(['publ', 'self', 'agen'].map((name) => at(paths, `/v1/agents/${name}`, 'get', 'security'))).toEqual([
      [],
      [{ accessToken: [] }],
      [{ accessToken: ['agents:read'] }, { apiKey: ['agents:read'] }],
    ])
  })

  test('offers an Idempotency-Key where the runtime takes one: on a POST that is not public', () => {
    const probes = (['POST self', 'POST public', 'PATCH self'] as const).map((text): RouteShape => {
      const [method, scope] = text.split(' ') as ['POST' | 'PATCH', 'self' | 'public']
      return { method, path: `/v1/agents/${scope}`, summary: '', scope, reply }
    })
    const { paths } = make(...probes) as { paths: JsonObject }
    const offered = { $ref: '#/components/parameters/IdempotencyKey' }
    expect(at(paths, '/v1/agents/self', 'post')).toMatchObject({ parameters: [offered], responses: { 409: {}, 422: {} } })
    expect(at(paths, '/v1/agents/public', 'post')).not.toHaveProperty('parameters')
    expect(at(paths, '/v1/agents/self', 'patch')).not.toHaveProperty('parameters')
    expect(at(document, 'components', 'parameters', 'IdempotencyKey')).toMatchObject({ name: 'Idempotency-Key', in: 'header' })
  })

  test('names what calls have in common, once: a thing that is listed, read and changed is one schema', () => {
    const Agent = z.object({ userId: z.string(), role: Role })
    const get = (path: string, reply: z.ZodType): RouteShape => ({ method: 'GET', path, summary: '', scope: 'public', reply })
    const named = make(
      get('/v1/agents', z.object({ items: z.array(Agent) })),
      get('/v1/agents/:userId', Agent.extend({ email: z.string() })),
      { ...get('/v1/agents/:userId', Agent), method: 'PATCH', body: Agent.partial() },
    )
    const answered = (path: string, method: string) =>
      at(named, 'paths', path, method, 'responses', '200', 'content', 'application/json', 'schema')
    expect(answered('/v1/agents', 'get')).toMatchObject({
      properties: { items: { items: { $ref: '#/components/schemas/Agent' } } },
    })
    expect(answered('/v1/agents/{userId}', 'patch')).toEqual({ $ref: '#/components/schemas/Agent' })
    expect(answered('/v1/agents/{userId}', 'get')).toEqual({ $ref: '#/components/schemas/AgentDetails' })
    expect(at(named, 'components', 'schemas', 'AgentDetails', 'properties', 'role')).toEqual({
      $ref: '#/components/schemas/Role',
    })
  })

  test('gives the other paths of a call with an operation id of their own', () => {
    expect(at(document, 'paths', '/functions/v1/init-return', 'post')).toMatchObject({
      operationId: 'postFunctionsV1InitReturn',
      description: expect.stringContaining('The same call as `POST /v1/returns`'),
    })
  })

  test('every reference leads somewhere, also those of recursive and named schemas', () => {
    const priced = make(
      { method: 'GET', path: '/v1/transactions', summary: '', scope: 'public', reply: z.object({ price: Money }) },
      ...routes,
    )
    const references = referencesOf(priced)
    expect([...references.keys()]).toEqual(
      expect.arrayContaining(['#/components/schemas/Money', '#/components/schemas/getV1AgentsByIdReply']),
    )
    expect([...references].filter(([, target]) => target === undefined)).toEqual([])
  })

  test('two routes for one call, and an alias without a method, are refused', () => {
    expect(() => make(...routes, ...routes)).toThrow('Two routes answer POST /v1/returns.')
    const [first] = routes
    expect(first && (() => make({ ...first, also: ['/no/method'] }))).toThrow('must look like METHOD /path')
  })
})
