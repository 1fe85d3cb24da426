import { z } from 'zod'
import { StoredKey } from './auth.ts'
import { flag, number, secret } from './config.ts'
import { OutsideIssuer } from './identity/outside.ts'

/** What every process reads from the environment, whatever services it runs. */
export const ProcessConfig = z.object({
  NATS_URL: z.string().min(1),
  /** The login at the broker; unset, the process is called like its service. */
  NATS_USER: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/)
    .optional(),
  NATS_PASSWORD: secret().optional(),
  /** A file of credentials instead of a password. */
  NATS_CREDENTIALS_FILE: z.string().min(1).optional(),
  NATS_REPLICAS: number(1, { min: 1, max: 5 }),
  NATS_MAX_BYTES: number(10 * 1024 ** 3, { min: 1024 ** 2 }),
  /** First token of every subject; only tests change it. */
  BUS_ROOT: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,30}$/)
    .default('evt'),
  HOST: z.string().default('0.0.0.0'),
  PORT: number(8080, { max: 65_535 }),
  /** Metrics and health; never on the public address. */
  ADMIN_HOST: z.string().default('127.0.0.1'),
  ADMIN_PORT: number(9090, { max: 65_535 }),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  DATABASE_POOL: number(12, { min: 2, max: 100 }),
  /** JSON list of stored API keys (see StoredKey): hashes, never keys. */
  PARLEY_API_KEYS: z
    .string()
    .default('[]')
    .transform((text, context) => {
      try {
        return z.array(StoredKey).parse(JSON.parse(text))
      } catch {
        context.addIssue({ code: 'custom', message: 'must be a JSON list of { keyId, organizationId, hash, scopes }' })
        return z.NEVER
      }
    }),
  /** `iss` of the access tokens that accounts signs; installations that share an identity provider's world need names of their own. */
  ACCOUNTS_ISSUER: z.string().min(1).max(512).default('parley'),
  /** Whether every organization requires a second factor of its members, whatever it has chosen itself; the same for every service. */
  PARLEY_REQUIRE_TWO_FACTOR: flag(false),
  /** JSON list of identity providers whose tokens are taken too (see OutsideIssuer). */
  PARLEY_OIDC_ISSUERS: z
    .string()
    .default('[]')
    .transform((text, context) => {
      try {
        return z.array(OutsideIssuer).max(20).parse(JSON.parse(text))
      } catch {
        context.addIssue({
          code: 'custom',
          message: 'must be a JSON list of { issuer, audience, jwksUri, algorithms, organizationClaim? }',
        })
        return z.NEVER
      }
    }),
  /** Comma-separated CIDR blocks of proxies in front. */
  TRUST_PROXY: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
  REQUESTS_PER_MINUTE: number(600_000, { min: 1 }),
  /** Where files go: file:///folder, or s3://bucket?region=…&endpoint=…; unset, deliveries keep them in Postgres. */
  OBJECT_STORE_URL: z
    .string()
    .regex(/^(file|s3):\/\//)
    .optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().url().optional(),
  OTEL_TRACES_SAMPLER_ARG: number(1, { min: 0, max: 1 }),
  /** How long the safety-net polls wait; wakes make them rarely matter. */
  POLL_MS: number(1_000, { min: 20, max: 60_000 }),
  SHUTDOWN_GRACE_MS: number(25_000, { min: 100 }),
})
export type ProcessConfig = z.infer<typeof ProcessConfig>
