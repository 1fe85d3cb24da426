import { createRequire } from 'node:module'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { allEvents } from '../../packages/contracts/src/index.ts'
import { asyncapi } from './asyncapi.ts'
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
  const routes: RouteShape[] = [
    {
      method: 'POST',
      path: '/v1/returns',
      also: ['POST /functions/v1/init-return'],
      summary: 'Ask to send something back.',
      scope: 'returns:write',
      body: z.object({ reason: z.string(), limit: z.int().default(5) }),
      reply: z.object({ id: z.string(), price: Money }),
      status: 201,
    },
    {
      method: 'GET',
      path: '/v1/returns/:id',
      summary: 'One return.',
      scope: 'returns:read',
      params: z.object({ id: z.uuid() }),
      query: z.object({ limit: z.int().max(9), after: z.string().optional() }),
      reply: Node,
    },
    { method: 'DELETE', path: '/v1/returns/:id', summary: 'Forget it.', scope: 'returns:write', reply: z.void(), status: 204 },
  ]
  const document = openapi([{ name: 'triage', routes }], '1.2.3')

  test('describes parameters, body and answer of a route', () => {
    const get = at(document, 'paths', '/v1/returns/{id}', 'get')
    expect(get).toMatchObject({
      operationId: 'getV1ReturnsById',
      tags: ['triage'],
      security: [{ bearer: ['returns:read'] }],
      parameters: [
        { name: 'id', in: 'path', required: true, schema: { format: 'uuid' } },
        { name: 'limit', in: 'query', required: true, schema: { maximum: 9 } },
        { name: 'after', in: 'query', required: false },
      ],
    })
    const post = at(document, 'paths', '/v1/returns', 'post')
    expect(post).toMatchObject({
      requestBody: { content: { 'application/json': { schema: { required: ['reason'] } } } },
      responses: { 201: {}, 400: { $ref: '#/components/responses/BadRequest' } },
    })
    expect(at(document, 'paths', '/v1/returns/{id}', 'delete', 'responses', '204')).toEqual({ description: 'Done.' })
  })

  test('says who may call: anybody, whoever is signed in, or whoever has the permission', () => {
    const scopes = ['public', 'self', 'returns:read']
    const probes = scopes.map((scope) => ({
      method: 'GET',
      path: `/v1/${scope.slice(0, 4)}`,
      summary: '',
      scope,
      reply: z.object({}),
    }))
    const { paths } = openapi([{ name: 'triage', routes: probes }], '1') as { paths: JsonObject }
    expect(['publ', 'self', 'retu'].map((name) => at(paths, `/v1/${name}`, 'get', 'security'))).toEqual([
      [],
      [{ bearer: [] }],
      [{ bearer: ['returns:read'] }],
    ])
  })

  test('offers an Idempotency-Key where the runtime takes one: on a POST that is not public', () => {
    const probes = ['POST self', 'POST public', 'PATCH self'].map((text) => {
      const [method = '', scope = ''] = text.split(' ')
      return { method, path: `/v1/${scope}`, summary: '', scope, reply: z.object({}) }
    })
    const { paths } = openapi([{ name: 'triage', routes: probes }], '1') as { paths: JsonObject }
    const offered = { $ref: '#/components/parameters/IdempotencyKey' }
    expect(at(paths, '/v1/self', 'post')).toMatchObject({ parameters: [offered], responses: { 422: {} } })
    expect(at(paths, '/v1/public', 'post')).not.toHaveProperty('parameters')
    expect(at(paths, '/v1/self', 'patch')).not.toHaveProperty('parameters')
    expect(at(document, 'components', 'parameters', 'IdempotencyKey')).toMatchObject({ name: 'Idempotency-Key', in: 'header' })
  })

  test('gives the other paths of a call with an operation id of their own', () => {
    expect(at(document, 'paths', '/functions/v1/init-return', 'post', 'operationId')).toBe('postFunctionsV1InitReturn')
  })

  test('every reference leads somewhere, also those of recursive and named schemas', () => {
    const references = referencesOf(document)
    expect([...references.keys()]).toEqual(
      expect.arrayContaining(['#/components/schemas/Money', '#/components/schemas/getV1ReturnsByIdReply']),
    )
    expect([...references].filter(([, target]) => target === undefined)).toEqual([])
  })

  test('two routes for one call, and an alias without a method, are refused', () => {
    expect(() =>
      openapi(
        [
          { name: 'a', routes },
          { name: 'b', routes },
        ],
        '1',
      ),
    ).toThrow('Two routes answer POST /v1/returns.')
    const [first] = routes
    expect(first && (() => openapi([{ name: 'a', routes: [{ ...first, also: ['/no/method'] }] }], '1'))).toThrow(
      'must look like METHOD /path',
    )
  })
})
