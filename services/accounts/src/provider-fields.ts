import { type ConnectionProvider, EmailAddress, KeyId, WrittenText } from '@parley/contracts'
import { z } from 'zod'
import type { ConnectionSettings } from './db/connection-tables.ts'
import type { ProviderFields } from './integration.ts'

// Header values, all of them: no blanks, no line breaks.
const Secret = z
  .string()
  .trim()
  .min(8)
  .max(1_024)
  .regex(/^[\x21-\x7e]+$/, 'must be one word of printable ASCII')
const BaseUrl = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .refine((text) => !/[?#]/.test(text), 'must not have a query or a fragment')
  .transform((text) => text.replace(/\/+$/, ''))
const Short = WrittenText(200)
const micros = z.int().min(0).max(1_000_000_000_000)

const secret = (what: string) => Secret.describe(what)
const baseUrl = (fallback: string) => BaseUrl.optional().describe(`Default: ${fallback}`)
const at = (fallback: string) => (settings: ConnectionSettings) => {
  const { baseUrl: given } = settings
  return typeof given === 'string' ? given : fallback
}

export const defaultAddress = {
  whapi: 'https://gate.whapi.cloud',
  elevenlabs: 'https://api.elevenlabs.io',
  tavus: 'https://tavusapi.com/v2',
  openai: 'https://api.openai.com/v1',
  twilio: 'https://api.twilio.com',
  sendgrid: 'https://api.sendgrid.com',
  slack: 'https://slack.com/api',
} as const

/** Keeps the exact schemas, which the documents of the API are made of. */
const define = <Credentials extends z.ZodType, Settings extends z.ZodType>(
  fields: Omit<ProviderFields, 'credentials' | 'settings'> & { credentials: Credentials; settings: Settings },
) => fields

export const providerFields = {
  whapi: define({
    type: 'messaging',
    capabilities: ['send_message', 'receive_message', 'message_status'],
    credentials: z.strictObject({ token: secret("The channel's token.") }),
    settings: z.strictObject({
      baseUrl: baseUrl(defaultAddress.whapi),
      perSecond: z.number().min(0.01).max(10_000).optional().describe("Messages a second; default: the operator's."),
    }),
    account: { schema: KeyId, needed: true },
    webhook: 'header',
    version: () => null,
    destination: at(defaultAddress.whapi),
  }),
  shopify: define({
    type: 'ecommerce',
    capabilities: ['orders', 'products', 'checkouts', 'customers', 'refunds', 'returns'],
    credentials: z.strictObject({
      accessToken: secret('Of the Admin API.'),
      signingSecret: Secret.optional().describe(
        "The app's client secret, with which webhooks are signed. It may be given later.",
      ),
    }),
    settings: z.strictObject({
      apiVersion: z
        .string()
        .regex(/^20\d{2}-(?:01|04|07|10)$/)
        .default('2026-07'),
    }),
    account: {
      schema: z
        .string()
        .trim()
        .toLowerCase()
        .max(256)
        .regex(/^[a-z0-9][a-z0-9-]*\.myshopify\.com$/, "must be the shop's myshopify.com domain"),
      needed: true,
    },
    webhook: 'signature',
    version: ({ apiVersion }) => (typeof apiVersion === 'string' ? apiVersion : null),
    destination: (_settings, accountId) => `https://${accountId ?? ''}`,
  }),
  elevenlabs: define({
    type: 'voice',
    capabilities: ['outbound_call', 'call_transcript', 'call_recording', 'speech'],
    credentials: z.strictObject({
      apiKey: secret('Sent as xi-api-key.'),
      signingSecret: Secret.optional().describe('The provider shows it when the webhook is made, so it may be given later.'),
    }),
    settings: z.strictObject({ baseUrl: baseUrl(defaultAddress.elevenlabs), agentPhoneNumberId: Short.optional() }),
    account: { schema: KeyId, needed: false },
    webhook: 'signature',
    version: () => 'v1',
    destination: at(defaultAddress.elevenlabs),
  }),
  tavus: define({
    type: 'voice',
    capabilities: ['video_call', 'call_transcript', 'call_recording'],
    credentials: z.strictObject({ apiKey: secret('Sent as x-api-key.') }),
    settings: z.strictObject({
      baseUrl: baseUrl(defaultAddress.tavus),
      replicaId: Short.optional(),
      personaId: Short.optional(),
    }),
    account: null,
    webhook: 'address',
    version: () => 'v2',
    destination: at(defaultAddress.tavus),
  }),
  openai: define({
    type: 'ai',
    capabilities: ['chat'],
    credentials: z.strictObject({ apiKey: secret('Of OpenAI, or of any server with its chat completions API.') }),
    settings: z.strictObject({
      baseUrl: baseUrl(defaultAddress.openai),
      model: WrittenText(128).optional().describe("Default: the agent's, else the operator's."),
      promptPriceMicros: micros.optional().describe('Millionths of a dollar per million tokens, for the AI budget.'),
      completionPriceMicros: micros.optional(),
    }),
    account: null,
    webhook: null,
    version: () => 'v1',
    destination: at(defaultAddress.openai),
  }),
  twilio: define({
    type: 'messaging',
    capabilities: ['send_message', 'receive_message', 'message_status'],
    credentials: z.strictObject({ authToken: secret('Of the account.') }),
    settings: z.strictObject({
      baseUrl: baseUrl(defaultAddress.twilio),
      from: Short.optional(),
      messagingServiceSid: Short.optional(),
    }),
    account: { schema: z.string().regex(/^AC[0-9a-f]{32}$/, "must be the account's SID"), needed: true },
    webhook: null,
    version: () => '2010-04-01',
    destination: at(defaultAddress.twilio),
  }),
  smtp: define({
    type: 'email',
    capabilities: ['send_mail'],
    credentials: z.strictObject({
      username: z
        .string()
        .min(1)
        .max(320)
        .regex(/^\P{Cc}+$/u),
      password: z
        .string()
        .min(1)
        .max(1_024)
        .regex(/^\P{Cc}+$/u),
    }),
    settings: z.strictObject({
      host: z
        .string()
        .trim()
        .toLowerCase()
        .max(253)
        .regex(/^[a-z0-9.:[\]-]+$/, 'must be a host'),
      port: z.int().min(1).max(65_535).default(465),
      encryption: z.enum(['tls', 'starttls']).default('tls'),
      from: z.string().trim().min(3).max(320).optional(),
    }),
    account: null,
    webhook: null,
    version: () => null,
    destination: ({ host, port, encryption }) => `${String(encryption)}://${String(host)}:${String(port)}`,
  }),
  sendgrid: define({
    type: 'email',
    capabilities: ['send_mail'],
    credentials: z.strictObject({ apiKey: secret('With the right to send mail.') }),
    settings: z.strictObject({ baseUrl: baseUrl(defaultAddress.sendgrid), from: EmailAddress.optional() }),
    account: null,
    webhook: null,
    version: () => 'v3',
    destination: at(defaultAddress.sendgrid),
  }),
  slack: define({
    type: 'alerts',
    capabilities: ['send_alert'],
    credentials: z.strictObject({ botToken: secret('xoxb-…'), signingSecret: Secret.optional() }),
    settings: z.strictObject({ channel: Short.optional() }),
    account: null,
    webhook: null,
    version: () => null,
    destination: () => defaultAddress.slack,
  }),
  custom: define({
    type: 'other',
    capabilities: [],
    credentials: z
      .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/), z.string().min(1).max(2_048))
      .refine((fields) => Object.keys(fields).length >= 1 && Object.keys(fields).length <= 8, 'must be 1 to 8 fields'),
    settings: z
      .record(
        z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/),
        z.union([z.string().max(2_048), z.number(), z.boolean(), z.null()]),
      )
      .refine((fields) => Object.keys(fields).length <= 8, 'must be 8 fields at most'),
    account: { schema: KeyId, needed: false },
    webhook: null,
    version: () => null,
    // We send its credentials nowhere.
    destination: () => '',
  }),
} as const satisfies Record<ConnectionProvider, unknown>
