import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { readFileSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { standardPayments } from '../../packages/providers/src/payments/index.ts'
import { calls } from './examples/calls.ts'
import type { Json, JsonObject } from './json-schema.ts'
import { apiDocument, type DocumentedService } from './openapi.ts'
import { paymentExample } from './openapi/doors.ts'
import { findServices } from './services.ts'

const root = join(import.meta.dirname, '..', '..')
let services: (DocumentedService & { name: string })[]
let document: JsonObject

interface Content {
  schema: JsonObject
  example?: Json
  examples?: Record<string, { value?: Json; $ref?: string }>
}
interface Call {
  name: string
  operationId: string
  summary: string
  tags: string[]
  parameters?: { name: string; in: string; schema: JsonObject & { examples?: Json[] }; example?: Json; $ref?: string }[]
  requestBody?: { content: Record<string, Content> }
  responses: Record<string, { $ref?: string; content?: Record<string, Content> }>
}

const callsOf = (api: JsonObject): Call[] =>
  Object.entries(api['paths'] as unknown as Record<string, Record<string, Call>>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, call]) => ({ ...call, name: `${method.toUpperCase()} ${path}` })),
  )

beforeAll(async () => {
  services = await findServices(root)
  document = apiDocument(services, '1.2.3')
})

describe('the document of the whole API', () => {
  test('is valid by the OpenAPI specification’s own schema', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
    const broken = await new Validator().validate({ ...structuredClone(document), paths: { '/x': { get: { responses: 5 } } } })
    expect(broken.valid).toBe(false)
  })

  test('shows an example of everything that is sent and answered, and each fits the schema beside it', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true })
    addFormats.default(ajv)
    ajv.addSchema({ ...document, $id: 'api' } as object)
    const problems: string[] = []
    // Most schemas stand beside many examples: that of errors beside a thousand.
    const validators = new Map<string, ValidateFunction>()
    const check = (what: string, schema: JsonObject, examples: readonly (Json | undefined)[]) => {
      if (examples.length === 0 || examples.includes(undefined)) problems.push(`${what} has no example`)
      // References are to the document, so the schema is read in its place.
      const text = JSON.stringify(schema).replaceAll('"#/', '"api#/')
      const validate = validators.get(text) ?? ajv.compile(JSON.parse(text) as object)
      validators.set(text, validate)
      for (const example of examples) if (!validate(example)) problems.push(`${what}: ${ajv.errorsText(validate.errors)}`)
    }
    const shared = (document['components'] as { examples: Record<string, { value: Json }> }).examples
    const valuesOf = ({ example, examples }: Content) =>
      example !== undefined
        ? [example]
        : Object.values(examples ?? {}).map(({ value, $ref }) => value ?? shared[$ref?.split('/').at(-1) ?? '']?.value)
    const checkAll = (what: string, content: Record<string, Content> = {}) => {
      for (const [type, one] of Object.entries(content)) check(`${what} (${type})`, one.schema, valuesOf(one))
    }
    for (const call of callsOf(document)) {
      for (const parameter of call.parameters ?? []) {
        if (parameter.in === 'path') check(`${call.name} ${parameter.name}`, parameter.schema, [parameter.example])
        if (parameter.in === 'query' && parameter.schema.examples)
          check(`${call.name} ${parameter.name}`, parameter.schema, parameter.schema.examples)
      }
      checkAll(`${call.name} body`, call.requestBody?.content)
      for (const [status, { content }] of Object.entries(call.responses)) checkAll(`${call.name} ${status}`, content)
    }
    for (const [name, { content }] of Object.entries(
      (document['components'] as unknown as { responses: Call['responses'] }).responses,
    ))
      checkAll(name, content)
    expect(problems).toEqual([])
  })

  test('has every route, under a group that says what it is about', () => {
    const all = callsOf(document)
    const missing = services.flatMap(({ routes }) =>
      routes
        .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
        .filter((name) => !all.some((call) => call.name === name)),
    )
    expect(missing).toEqual([])
    expect(all.filter(({ summary, tags }) => summary === '' || tags.length !== 1).map(({ name }) => name)).toEqual([])
    expect(new Set(all.map(({ operationId }) => operationId)).size).toBe(all.length)
  })

  test('gives examples of its own only to calls that there are', () => {
    const known = new Set(services.flatMap(({ routes }) => routes.map(({ method, path }) => `${method} ${path}`)))
    expect(Object.keys(calls).filter((call) => !known.has(call) && !call.includes('/v1/ops/'))).toEqual([])
  })

  test('says of no plugin that it answers nothing', () => {
    const [first] = services as [DocumentedService]
    expect(() => apiDocument([{ ...first, pluginPaths: ['/v1/unheard-of'] }], '1')).toThrow(
      'A plugin answers below /v1/unheard-of, and scripts/generate/openapi/doors.ts does not say what.',
    )
  })

  test('quotes refusals in words that the code uses', () => {
    const thrown = messagesIn(globSync(['services/*/src/**/*.ts', 'packages/runtime/src/**/*.ts'], { cwd: root }))
    expect(thrown.length).toBeGreaterThan(150)
    const invented = services.flatMap(({ routes }) =>
      routes.flatMap(({ method, path, refuses = {} }) =>
        Object.entries(refuses).flatMap(([code, words]) =>
          [words]
            .flat()
            .filter((message) => !thrown.some((one) => one.code === code && one.pattern.test(message)))
            .map((message) => `${method} ${path} ${code}: ${message}`),
        ),
      ),
    )
    expect(invented).toEqual([])
  })

  test('shows a payment that the reader of payment webhooks takes', () => {
    const headers = { 'webhook-id': 'msg_1' }
    expect(standardPayments.normalise({ headers, body: paymentExample })).toMatchObject({
      type: 'payment.succeeded',
      eventId: 'msg_1',
    })
  })

  test('shows no secret that a scanner would take for a real one', () => {
    const known = /eyJ[\w-]{10,}\.|ply_live_\w+_\w{20,}|\bsk-\w{10,}|\bshpat_\w+|\bxox[bp]-\d|-----BEGIN/
    expect(known.exec(JSON.stringify(document))?.[0]).toBeUndefined()
    expect(known.test('ply_live_014S7U2Pe8mYa1apFXeU58rHJhnUC5GRc_0123456789012345678901')).toBe(true)
  })
})

/** What `new AppError(code, message)` says everywhere; what is put into a text stands for anything. */
function messagesIn(files: readonly string[]): { code: string; pattern: RegExp }[] {
  const throwing = /AppError\(\s*'(\w+)',\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|`([^`]*)`|(\w+))/g
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return [...text.matchAll(throwing)].map(([, code = '', single, double, template, name]) => {
      const named = name === undefined ? undefined : new RegExp(`const ${name} =\\s*['"\`](.*)['"\`]`).exec(text)?.[1]
      const message = single ?? double ?? template ?? named ?? ''
      const pattern = message
        .replace(/\$\{[^}]*\}/g, '\0')
        .replace(/[.+*?^$()|[\]\\]/g, '\\$&')
        .replaceAll('\0', '.+')
      return { code, pattern: new RegExp(`^${pattern}$`) }
    })
  })
}
