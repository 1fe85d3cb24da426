import { z } from 'zod'
import {
  AppError,
  type ErrorCode,
  errorBody,
  errorStatus,
  parseInput,
  refusalCodes,
  takesIdempotencyKey,
} from '../../../packages/runtime/src/index.ts'
import type { Json, JsonObject } from '../json-schema.ts'
import { type FullRoute, isForOperators } from './route-shape.ts'

const descriptions: Readonly<Partial<Record<ErrorCode, string>>> = {
  invalid: 'The request does not fit its schema; `details` names each field.',
  unauthenticated: 'The credential is missing, unknown, expired or revoked.',
  forbidden: 'The credential is good and does not allow this; `details.reason` says so where a client can do something about it.',
  not_found: 'The organization has nothing by that name. What belongs to another organization is not found either.',
  conflict: 'The state of the thing does not allow it.',
  gone: 'It was there and is not any more, for good.',
  too_large: 'The body is larger than allowed.',
  unsupported_media_type: 'The body must be application/json, UTF-8, not packed.',
  unprocessable: 'The request can be read, and cannot be carried out.',
  too_many_requests: 'Too many calls, of this address or of this key: wait for Retry-After.',
  internal: 'Our fault, and logged.',
  unavailable: 'A part is away for a moment: try again after Retry-After.',
}

const example = (code: ErrorCode, message: string, details?: unknown) => errorBody(code, message, details) as unknown as Json

/** The same words whatever was called; a route's own are added to it. */
const shared: Readonly<Partial<Record<ErrorCode, Readonly<Record<string, Json>>>>> = {
  unauthenticated: {
    no_credential: example('unauthenticated', 'A valid access token or API key is needed: authorization: Bearer <token or key>.'),
  },
  too_large: { too_large: example('too_large', 'The body is too large.') },
  unsupported_media_type: { not_json: example('unsupported_media_type', 'The body must be application/json.') },
  too_many_requests: {
    of_a_key: example('too_many_requests', 'This key may make 600 calls a minute.', { retryAfterMs: 41_000 }),
    of_an_address: example('too_many_requests', 'Too many requests from this address: at most 60 a minute.', {
      retryAfterMs: 12_480,
    }),
  },
  internal: { internal: example('internal', 'Something went wrong on our side.') },
  unavailable: { unavailable: example('unavailable', 'A part of the system is away for a moment. Try again.') },
}

/** Components that routes point at: answers that are the same for every call, and examples that many calls share. */
export const failureComponents: { responses: JsonObject; examples: JsonObject } = {
  responses: Object.fromEntries(
    Object.entries(shared).map(([code, examples]) => [
      nameOf(code),
      response(
        code as ErrorCode,
        Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { summary: messageOf(value), value }])),
      ),
    ]),
  ),
  examples: {
    SecondFactorNeeded: {
      summary: 'The organization wants a second factor, and this session has none.',
      value: example('forbidden', 'This organization requires two-factor sign-in: turn it on, then sign in with it.', {
        reason: 'second_factor_needed',
      }),
    },
    OrganizationClosed: {
      summary: 'The operator has closed the organization.',
      value: example('forbidden', 'This organization is closed.', { reason: 'organization_closed' }),
    },
    IdempotencyInProgress: {
      summary: 'The first call with this Idempotency-Key is still under way.',
      value: example('conflict', 'The same call is still being carried out: ask again with the same Idempotency-Key.', {
        reason: 'in_progress',
        retryAfterMs: 2_000,
      }),
    },
    IdempotencyAnswerLost: {
      summary: 'The first call with this Idempotency-Key was carried out, and its answer was lost.',
      value: example(
        'conflict',
        'This call was carried out, and its answer was lost: look at what it made. It is not done again.',
        {
          reason: 'answer_lost',
        },
      ),
    },
    IdempotencyKeyUsed: {
      summary: 'This Idempotency-Key was used for another request.',
      value: example('unprocessable', 'This Idempotency-Key was used for another request: a new one needs a new key.', [
        { field: 'headers.idempotency-key', problem: 'was used with another body or query' },
      ]),
    },
  },
}

/** Every answer by which this call may be refused, by status. */
export function failuresOf(route: FullRoute): JsonObject {
  const codes = [...refusalCodes(route)].toSorted((a, b) => errorStatus[a] - errorStatus[b])
  return Object.fromEntries(codes.map((code) => [String(errorStatus[code]), failure(route, code)]))
}

function failure(route: FullRoute, code: ErrorCode): JsonObject {
  const own = ownExamples(route, code)
  if (Object.keys(own).length === 0) return { $ref: `#/components/responses/${nameOf(code)}` }
  return response(code, own)
}

function ownExamples(route: FullRoute, code: ErrorCode): JsonObject {
  const examples: JsonObject = {}
  if (code === 'invalid')
    Object.assign(examples, { a_field: { summary: 'A field is missing or wrong.', value: invalidExample(route) } })
  if (code === 'forbidden' && route.scope !== 'public') Object.assign(examples, forbiddenExamples(route))
  const words = [route.refuses[code] ?? []].flat()
  for (const [place, message] of words.entries())
    examples[words.length === 1 ? code : `${code}_${place + 1}`] = { summary: message, value: example(code, message) }
  if (takesIdempotencyKey(route)) Object.assign(examples, idempotencyExamples[code])
  return examples
}

const idempotencyExamples: Readonly<Partial<Record<ErrorCode, JsonObject>>> = {
  conflict: {
    in_progress: { $ref: '#/components/examples/IdempotencyInProgress' },
    answer_lost: { $ref: '#/components/examples/IdempotencyAnswerLost' },
  },
  unprocessable: { key_used: { $ref: '#/components/examples/IdempotencyKeyUsed' } },
}

function forbiddenExamples({ scope, path }: FullRoute): JsonObject {
  if (scope === 'self')
    return {
      not_for_keys: {
        summary: 'The credential is an API key.',
        value: example('forbidden', 'This is for people who are signed in, not for keys.'),
      },
    }
  return {
    missing_permission: {
      summary: 'The role lacks the permission.',
      value: example('forbidden', `Your role does not allow '${scope}'.`),
    },
    missing_scope: {
      summary: 'The API key lacks the scope.',
      value: example('forbidden', `This key does not allow '${scope}'.`),
    },
    organization_closed: { $ref: '#/components/examples/OrganizationClosed' },
    ...(isForOperators(path) ? {} : { second_factor_needed: { $ref: '#/components/examples/SecondFactorNeeded' } }),
  }
}

const wrongValues: readonly object[] = [
  { limit: '0' },
  { day: 'today' },
  { user_id: 'no-id' },
  { id: 'no-id' },
  { userId: 'no-id' },
  { keyId: '-' },
  { step: 'no-step' },
]
const knows = (schema: z.ZodType | undefined, field: string) => schema instanceof z.ZodObject && field in schema.shape

/** What the route's own schemas really say to an input that they refuse. */
function invalidExample({ params, query, body }: FullRoute): Json {
  const wrong = [
    ['body', body, {}],
    ['body', body, { nonsense: true }],
    ...wrongValues.map((input) => ['query', query, input] as const),
    ...wrongValues.map((input) => ['path', params, input] as const),
    ['query', query, { nonsense: 'true' }],
    ['path', params, {}],
  ] as const
  for (const [where, schema, input] of wrong) {
    // A field that is not its own would only show that it is unknown.
    if (wrongValues.includes(input) && !knows(schema, Object.keys(input)[0] ?? '')) continue
    try {
      parseInput(where, schema, input)
    } catch (error) {
      if (error instanceof AppError) return example(error.code, error.message, error.details)
      throw error
    }
  }
  return example('invalid', 'An Idempotency-Key is 1 to 255 visible ASCII characters, sent once.', [
    { field: 'headers.idempotency-key', problem: 'is no Idempotency-Key' },
  ])
}

function response(code: ErrorCode, examples: JsonObject): JsonObject {
  const waits = code === 'too_many_requests' || code === 'unavailable'
  return {
    description: descriptions[code] ?? code,
    ...(waits ? { headers: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } } : {}),
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' }, examples } },
  }
}

function messageOf(value: Json): string {
  return (value as { error: { message: string } }).error.message
}

function nameOf(code: string): string {
  return code.replace(/(^|_)([a-z])/g, (_all, _gap, letter: string) => letter.toUpperCase())
}

export const errorSchema: JsonObject = {
  type: 'object',
  description: 'What every refusal and every failure looks like.',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string', enum: Object.keys(errorStatus), description: 'Stable, for programs.' },
        message: { type: 'string', description: 'One sentence, for people; its words may change.' },
        details: {
          description: 'Where there is more to say: the fields with their problems, a reason, or how long to wait.',
          anyOf: [
            {
              type: 'array',
              items: {
                type: 'object',
                required: ['field', 'problem'],
                properties: { field: { type: 'string' }, problem: { type: 'string' } },
              },
            },
            {
              type: 'object',
              properties: { reason: { type: 'string' }, retryAfterMs: { type: 'number' } },
              additionalProperties: true,
            },
          ],
        },
      },
    },
  },
}
