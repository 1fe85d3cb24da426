import type { JsonObject } from '../json-schema.ts'
import { ids, question, times } from '../examples/cast.ts'

/** A call that no Route answers, because it needs the raw request or answers with more than one value: described by hand. */
export interface Door {
  method: string
  /** Parameters as `:name`. */
  path: string
  /** Where it is to be found, when its own path does not say. */
  grouped?: string
  operation: JsonObject
}

const shared = (name: string): JsonObject => ({ $ref: `#/components/responses/${name}` })
const refused = (description: string, code: string, message: string): JsonObject => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' }, example: { error: { code, message } } } },
})
const text = { type: 'string' }
const trouble = { 429: shared('TooManyRequests'), 500: shared('Internal'), 503: shared('Unavailable') }

const stored = {
  description: 'Stored for good: everything else happens later.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        required: ['received', 'receiptId', 'duplicate'],
        properties: { received: { const: true }, receiptId: { type: 'string', format: 'uuid' }, duplicate: { type: 'boolean' } },
      },
      example: { received: true, receiptId: ids.receipt, duplicate: false },
    },
  },
}

const delivery = {
  description: 'What the provider sends, as it sends it.',
  required: true,
  content: {
    'application/json': {
      schema: { type: 'object' },
      example: {
        messages: [
          {
            id: 'PsrNuJ8Vb7kZsMnHx4Rt-wA4CGUn',
            from_me: false,
            type: 'text',
            chat_id: '33639980142@s.whatsapp.net',
            timestamp: 1_795_072_904,
            text: { body: question },
            from: '33639980142',
            from_name: 'Léa Fontaine',
          },
        ],
        event: { type: 'messages', event: 'post' },
        channel_id: 'MIRNDA-X4K7P',
      },
    },
  },
}

const deliveryAnswers = {
  200: stored,
  400: refused('The body is not what its type promises.', 'invalid', 'The request cannot be read.'),
  401: refused('The signature, the header or the time is wrong.', 'unauthenticated', 'The delivery could not be verified.'),
  403: refused('It is another account’s.', 'forbidden', 'The delivery is not about the account of this source.'),
  404: refused('No door has this token.', 'not_found', 'There is no such webhook.'),
  413: shared('TooLarge'),
  415: shared('UnsupportedMediaType'),
  ...trouble,
}

const token = { name: 'token', schema: text, description: 'What stands in the address that was shown when the door was opened.' }

function webhook(id: string, path: string, parameters: JsonObject[], summary: string): Door {
  return {
    method: 'post',
    path,
    grouped: '/v1/webhooks',
    operation: {
      operationId: id,
      summary,
      description:
        'For providers, not for you. The token finds the door; the signature or header that the provider sends is verified over the bytes as they came. 200 is said only once the delivery is stored; the same one again is known and said to be a duplicate.',
      security: [],
      ...(parameters.length > 0 ? { parameters } : {}),
      requestBody: delivery,
      responses: deliveryAnswers,
    },
  }
}

const tokenParameters = [
  { ...token, in: 'query', required: false },
  { ...token, name: 'x-parley-token', in: 'header', required: false },
]

/** One that the service takes: a test gives it to the reader of such webhooks. */
export const paymentExample: JsonObject = {
  type: 'payment.succeeded',
  timestamp: times.now,
  data: {
    organizationId: ids.organization,
    transactionId: ids.transaction,
    subscriptionId: null,
    providerTransactionId: 'pay_20261101_0007',
    amountMinor: 149,
    currency: 'USD',
    paymentMethod: 'card',
    invoiceUrl: null,
    reason: null,
  },
}

/** Everything that a service's plugin answers, and what every process answers about itself. */
export const doors: readonly Door[] = [
  webhook(
    'postWebhook',
    '/webhooks/:provider/:token',
    [
      {
        name: 'provider',
        in: 'path',
        required: true,
        schema: { enum: ['whapi', 'shopify', 'elevenlabs', 'tavus'] },
        example: 'whapi',
      },
      { ...token, in: 'path', required: true, example: 'the-token-of-this-address' },
    ],
    'Take a webhook of a provider.',
  ),
  webhook(
    'postWhatsappWebhook',
    '/functions/whatsapp-webhook',
    tokenParameters,
    'Take a webhook of Whapi, under an earlier path.',
  ),
  webhook(
    'postCallWebhook',
    '/functions/v1/handle-call-webhook',
    tokenParameters,
    'Take a webhook of ElevenLabs or Tavus, under an earlier path.',
  ),
  {
    method: 'get',
    path: '/v1/stream',
    operation: {
      operationId: 'getStream',
      summary: 'Hear of what happens in conversations as it happens (server-sent events).',
      description:
        'Needs the permission `conversations:read`. Each event has an id; who comes back with the last one in `Last-Event-ID` misses nothing. The event `reset` says that too much was missed: load your lists anew. The answer holds personal data, so each call is noted in the audit log.',
      security: [{ accessToken: ['conversations:read'] }, { apiKey: ['conversations:read'] }],
      parameters: [
        {
          name: 'Last-Event-ID',
          in: 'header',
          required: false,
          schema: text,
          description: 'The id of the last event that you saw.',
        },
      ],
      responses: {
        200: {
          description: 'Events without end, a comment every 15 seconds when there are none.',
          content: {
            'text/event-stream': {
              schema: text,
              example: `id: 7351-2\nevent: message.added\ndata: {"id":"${ids.event}","type":"message.added","time":"${times.asked}","data":{"conversationId":"${ids.conversation}"}}\n\n`,
            },
          },
        },
        400: refused('Last-Event-ID is none of ours.', 'invalid', 'Last-Event-ID: not an id of this stream.'),
        401: shared('Unauthenticated'),
        403: refused('The permission is missing.', 'forbidden', "Your role does not allow 'conversations:read'."),
        ...trouble,
      },
    },
  },
  {
    method: 'get',
    path: '/v1/audit/export',
    operation: {
      operationId: 'getAuditExport',
      summary: 'The audit log as a file, line by line.',
      description:
        'Needs the permission `audit:read`. Takes the filters of `GET /v1/audit`. That it was taken out of the house is itself an entry.',
      security: [{ accessToken: ['audit:read'] }, { apiKey: ['audit:read'] }],
      parameters: [
        { name: 'format', in: 'query', required: false, schema: { enum: ['ndjson', 'csv'], default: 'ndjson' } },
        {
          name: 'from',
          in: 'query',
          required: false,
          schema: { type: 'string', format: 'date-time', examples: [times.founded] },
        },
        { name: 'to', in: 'query', required: false, schema: { type: 'string', format: 'date-time', examples: [times.now] } },
      ],
      responses: {
        200: {
          description: 'At most 100,000 entries, the latest first.',
          content: {
            'application/x-ndjson': {
              schema: text,
              example: `{"id":"${ids.entry}","kind":"change","at":"${times.now}","actor":{"kind":"member","id":"${ids.owner}"},"action":"POST /v1/invitations","resourceType":"invitation","resourceId":"${ids.invitation}"}\n`,
            },
            'text/csv': {
              schema: text,
              example: `id,kind,at,actor_kind,actor_id,action\r\n${ids.entry},change,${times.now},member,${ids.owner},POST /v1/invitations\r\n`,
            },
          },
        },
        400: refused('A filter is wrong.', 'invalid', 'query.format: Invalid option: expected one of "ndjson"|"csv"'),
        401: shared('Unauthenticated'),
        403: refused('The permission is missing.', 'forbidden', "Your role does not allow 'audit:read'."),
        422: refused('Too much for one file.', 'unprocessable', 'More than 100000 entries: narrow them down with from and to.'),
        ...trouble,
      },
    },
  },
  {
    method: 'get',
    path: '/.well-known/jwks.json',
    operation: {
      operationId: 'getJwks',
      summary: 'The public keys of our access tokens (RFC 7517).',
      description: 'Anybody may call. May be kept for five minutes; a new key is here a day before it signs.',
      security: [],
      responses: {
        200: {
          description: 'Keys that are trusted now.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['keys'],
                properties: {
                  keys: {
                    type: 'array',
                    items: {
                      type: 'object',
                      required: ['kty', 'crv', 'use', 'alg', 'kid', 'x'],
                      properties: {
                        kty: { const: 'OKP' },
                        crv: { const: 'Ed25519' },
                        use: { const: 'sig' },
                        alg: { const: 'EdDSA' },
                        kid: text,
                        x: text,
                      },
                    },
                  },
                },
              },
              example: {
                keys: [
                  {
                    kty: 'OKP',
                    crv: 'Ed25519',
                    use: 'sig',
                    alg: 'EdDSA',
                    kid: '2026-11-02',
                    x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
                  },
                ],
              },
            },
          },
        },
        ...trouble,
      },
    },
  },
  {
    method: 'post',
    path: '/v1/payment-webhooks/:provider',
    operation: {
      operationId: 'postPaymentWebhook',
      summary: 'Take a webhook of a payment provider.',
      description:
        'For payment providers, not for you. Signed over the bytes with the secret that the installation shares with the provider; answered once the books are written.',
      security: [],
      parameters: [
        { name: 'provider', in: 'path', required: true, schema: text, example: 'standard' },
        { name: 'webhook-id', in: 'header', required: true, schema: text, description: 'The same one again is the same event.' },
        {
          name: 'webhook-timestamp',
          in: 'header',
          required: true,
          schema: text,
          description: 'Seconds since 1970; five minutes off at most.',
        },
        {
          name: 'webhook-signature',
          in: 'header',
          required: true,
          schema: text,
          description: '`v1,` and the base64 of the HMAC-SHA256, as Standard Webhooks 1.0 has it.',
        },
      ],
      requestBody: {
        required: true,
        content: { 'application/json': { schema: { type: 'object' }, example: paymentExample } },
      },
      responses: {
        200: {
          description: 'The books are written, or there was nothing to write.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['received', 'outcome'],
                properties: { received: { const: true }, outcome: text },
              },
              example: { received: true, outcome: 'applied' },
            },
          },
        },
        400: refused('The body is no JSON.', 'invalid', 'The request cannot be read.'),
        401: refused('The signature does not fit.', 'unauthenticated', 'The signature is missing, wrong or too old.'),
        404: refused('There is no such door.', 'not_found', 'No payment provider of that name.'),
        413: shared('TooLarge'),
        422: refused('An unknown shape.', 'unprocessable', 'The body is not of the shape that its type promises.'),
        ...trouble,
      },
    },
  },
  {
    method: 'get',
    path: '/healthz',
    operation: {
      operationId: 'getHealth',
      summary: 'Whether the process is alive.',
      security: [],
      responses: {
        200: {
          description: 'It is.',
          content: {
            'application/json': { schema: { type: 'object', properties: { status: text } }, example: { status: 'ok' } },
          },
        },
        429: shared('TooManyRequests'),
      },
    },
  },
  {
    method: 'get',
    path: '/readyz',
    operation: {
      operationId: 'getReadiness',
      summary: 'Whether the process takes calls, and what it needs for that.',
      security: [],
      responses: {
        200: {
          description: 'It does.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: { status: text, checks: { type: 'object', additionalProperties: { type: 'boolean' } } },
              },
              example: { status: 'ready', checks: { started: true, accepting: true, 'database.inbox': true, broker: true } },
            },
          },
        },
        429: shared('TooManyRequests'),
        503: shared('Unavailable'),
      },
    },
  },
]
