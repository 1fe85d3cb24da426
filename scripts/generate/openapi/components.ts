import type { JsonObject } from '../json-schema.ts'
import { errorSchema, failureComponents } from './failures.ts'

const securitySchemes: JsonObject = {
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'Of a person: `POST /v1/auth/sign-in` gives one for ten minutes, `POST /v1/auth/refresh` the next. What the person may do is looked up for each call.',
  },
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'ply_live_…',
    description: 'Of a program, for one organization, within its scopes and limits: `POST /v1/api-keys` makes one.',
  },
  operatorKey: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'ply_live_…',
    description: 'Of who runs the installation: one out of PARLEY_API_KEYS. No member and no API key may make these calls.',
  },
}

const headers: JsonObject = {
  RetryAfter: { description: 'Seconds to wait before the next try.', schema: { type: 'integer', minimum: 1 }, example: 41 },
  RateLimit: {
    description:
      'For calls with an API key that has limits: what is left (`r`) of each and the seconds until it begins anew (`t`), as draft-ietf-httpapi-ratelimit-headers-10 has it.',
    schema: { type: 'string' },
    example: '"minute";r=598;t=41, "day";r=81796;t=55788',
  },
  RateLimitPolicy: {
    description: 'The limits of the API key: how many calls (`q`) in how many seconds (`w`).',
    schema: { type: 'string' },
    example: '"minute";q=600;w=60, "day";q=100000;w=86400',
  },
  IdempotentReplayed: {
    description: 'Only there when the call was not carried out again: this is the answer to the first one.',
    schema: { type: 'string', const: 'true' },
    example: 'true',
  },
}

const idempotencyKey: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A random text of yours for this one call, such as a UUID. Sent again within 24 hours by the same caller, with the same path, query and body, the call is not carried out again: the answer is the first one, with `idempotent-replayed: true`. Another body or query is refused with 422. While the first is still under way, the second waits five seconds and then gets 409 with Retry-After. 409 with `details.reason` `answer_lost` means carried out, answer lost: look at what it made. A call that was refused or failed is not remembered.',
  schema: {
    type: 'string',
    minLength: 1,
    maxLength: 255,
    pattern: '^[!-~]+$',
    examples: ['b6a1c0de-5e0f-4f5a-9a4e-2f1c7d3b8e90'],
  },
}

export const components = (schemas: JsonObject): JsonObject => ({
  securitySchemes,
  parameters: { IdempotencyKey: idempotencyKey },
  headers,
  ...failureComponents,
  schemas: { Error: errorSchema, ...schemas },
})

export const introduction = `The HTTP interface of all services, through one address. Generated from the routes; every example is checked against them.

**Credentials.** \`authorization: Bearer …\`, with an access token of a person or an API key of a program. Each call names the permission that it needs; \`GET /v1/me\` and its like need none, only a person.

**Errors** all look alike: \`{ "error": { "code", "message", "details" } }\`. Programs go by \`code\`, people read \`message\`, and \`details\` names the fields of a request that does not fit.

**Lists** have \`page\` (from 1) and \`limit\` (25 unless you say otherwise), and answer with \`items\`, \`page\`, \`limit\` and \`total\`. The audit log alone goes by \`cursor\`.

**Limits.** Each address may make so many calls a minute (\`x-ratelimit-…\` headers), each API key so many a minute and a day (\`RateLimit\`, \`RateLimit-Policy\`). Beyond either: 429 with \`Retry-After\`.

**Once.** A POST with an \`Idempotency-Key\` is carried out once, however often it is sent.

**Values.** Ids are text. Times are UTC, ISO 8601. \`…Minor\` is money in the currency's smallest unit, \`…Micros\` in millionths of its main one. Other units stand last in a name: \`durationMs\`, \`sizeBytes\`. Every answer has the W3C \`traceparent\` of its call.`
