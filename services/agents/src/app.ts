import { createSeldom, kit, number, type OpenContext, openSealingKeys, sealingKey, secret, type Seldom } from '@parley/runtime'
import { z } from 'zod'
import type { DB } from './db/types.ts'
import { type Models, openModels } from './models.ts'

const names = z
  .string()
  .default('')
  .transform((list) =>
    list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )

export const AgentsConfig = z
  .object({
    PARLEY_SECRET_KEY: sealingKey(),
    PARLEY_SECRET_KEY_PREVIOUS: sealingKey().optional(),
    /** Any server with OpenAI's chat completions API; unset: OpenAI's. */
    MODEL_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
    /** Unset: the simulated model answers, and every record says so. */
    MODEL_API_KEY: secret().optional(),
    /** Where the simulated model listens, with the API's path; needed when there is no key. */
    MODEL_SIMULATOR_URL: z.url({ protocol: /^https?$/ }).optional(),
    MODEL_NAME: z.string().min(1).max(128).default('gpt-4o-mini'),
    /** Models that an agent may be set to instead, comma-separated. */
    MODEL_ALTERNATIVES: names,
    /** Origins, not public ones, that an organization's own model account may have, comma-separated. */
    MODEL_CONNECTION_ORIGINS: names.refine(
      (list) => list.every((entry) => URL.parse(entry)?.origin === entry),
      'must be origins',
    ),
    MODEL_TIMEOUT_MS: number(20_000, { min: 100, max: 100_000 }),
    MODEL_MAX_TOKENS: number(1_024, { min: 64, max: 4_096 }),
    /** Millionths of a dollar per million tokens, of the dearest model in use. */
    MODEL_PROMPT_PRICE_MICROS: number(150_000),
    MODEL_COMPLETION_PRICE_MICROS: number(600_000),
    /** The most that one organization may spend on models in a UTC day; by default 100 dollars. */
    AGENTS_DAILY_CAP_MICROS: number(100_000_000),
    AGENTS_CONVERSATION_TURNS_PER_DAY: number(200, { min: 1, max: 10_000 }),
    /** Automatic answers in a row, within the window, that end a loop of two bots. */
    AGENTS_BOT_LOOP_TURNS: number(10, { min: 2, max: 1_000 }),
    AGENTS_BOT_LOOP_WINDOW_MS: number(600_000, { min: 1_000 }),
    AGENTS_QUIET_MS: number(1_500, { max: 60_000 }),
    AGENTS_QUIET_MAX_MS: number(8_000, { max: 300_000 }),
    /** Turns in a row that may find no model before a person takes over, and the pause after the first. */
    AGENTS_MODEL_TRIES: number(3, { min: 1, max: 10 }),
    AGENTS_MODEL_RETRY_MS: number(2_000, { min: 10, max: 30_000 }),
  })
  .refine((config) => config.MODEL_API_KEY !== undefined || config.MODEL_SIMULATOR_URL !== undefined, {
    path: ['MODEL_API_KEY'],
    message: 'set it, or MODEL_SIMULATOR_URL to run with the simulated model',
  })
export type AgentsConfig = z.infer<typeof AgentsConfig>

export interface App {
  config: AgentsConfig
  models: Models
  /** Which accounts of organizations are to be reported as working, or as refused, again. */
  useReports: Seldom
  troubleReports: Seldom
  eraseEvents: OpenContext<DB, AgentsConfig>['eraseEvents']
  now(): Date
  close(): Promise<void>
}

/**
 * Turns under way in one process. They wait for a model nearly all the time and hold no connection meanwhile, so a few dozen cost
 * little; at one second a turn this is 64 answers a second and replica.
 */
export const mostTurnsAtOnce = 64

export async function openApp({ config, now, eraseEvents }: OpenContext<DB, AgentsConfig>): Promise<App> {
  const models = openModels({
    keys: openSealingKeys(config.PARLEY_SECRET_KEY, config.PARLEY_SECRET_KEY_PREVIOUS),
    apiKey: config.MODEL_API_KEY?.reveal(),
    baseUrl: config.MODEL_BASE_URL,
    simulatorUrl: config.MODEL_SIMULATOR_URL,
    name: config.MODEL_NAME,
    alternatives: config.MODEL_ALTERNATIVES,
    timeoutMs: config.MODEL_TIMEOUT_MS,
    maxTokens: config.MODEL_MAX_TOKENS,
    promptPriceMicros: config.MODEL_PROMPT_PRICE_MICROS,
    completionPriceMicros: config.MODEL_COMPLETION_PRICE_MICROS,
    trusted: config.MODEL_CONNECTION_ORIGINS,
    maxConcurrent: mostTurnsAtOnce,
    now,
  })
  return {
    config,
    models,
    useReports: createSeldom({ everyMs: 3_600_000 }),
    troubleReports: createSeldom({ everyMs: 60_000 }),
    eraseEvents,
    now,
    close: () => models.close(),
  }
}

export const { on, job, route } = kit<App, DB>()
