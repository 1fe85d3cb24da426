import { setTimeout as wait } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import type { z } from 'zod'
import { clip } from '../http/exchange.ts'
import { estimateTokens, type Pricing, type Usage, worstCaseUsage } from './cost.ts'
import { createGate } from './gate.ts'
import { type Prompt, toMessages } from './prompt.ts'
import { invalid, type ReadAnswer, readAnswer } from './read-answer.ts'
import { toStrictJsonSchema } from './strict-schema.ts'
import { boundedFetch, readHttpError, TransportError, type Unavailable } from './transport.ts'

export type { Pricing, Usage } from './cost.ts'
export { estimateTokens } from './cost.ts'
export type { DataBlock, Prompt } from './prompt.ts'
export type { Unavailable, UnavailableKind } from './transport.ts'

export interface ModelOptions {
  /** Default: OpenAI's. Any server with the same chat completions API will do. */
  baseUrl?: string
  apiKey: string
  model: string
  /** One try, from queueing for a connection to the last byte. Default 20 s (the SDK's own default is 600 s). */
  timeoutMs?: number
  /** The most tokens an answer may have, unless a call says otherwise. Default 1,024. */
  maxCompletionTokens?: number
  pricing: Pricing
  breaker?: {
    /** Share of failures that opens it. Default 0.5. */
    threshold?: number
    /** Calls needed before it judges. Default 20. */
    minimumCalls?: number
    /** What it looks back on. Default 60 s. */
    windowMs?: number
    /** Default 30 s. */
    halfOpenAfterMs?: number
  }
  /** Calls in flight at once; as many more may wait. Default 64. */
  maxConcurrent?: number
  /** Pause before the second try: between half of it and all of it. Default 400 ms. */
  retryDelayMs?: number
  dispatcher?: Dispatcher
  now?: () => Date
  random?: () => number
}

export interface Ask<T> extends Prompt {
  /** Strict objects only, no optional fields (see `toStrictJsonSchema`). */
  schema: z.ZodType<T>
  /** Letters, digits, underscores. */
  schemaName: string
  maxCompletionTokens?: number
  signal?: AbortSignal
  /** For `traceparent`. */
  headers?: Record<string, string>
}

export type AskOutcome<T> =
  | Exclude<ReadAnswer<T>, { outcome: 'answered' }>
  | (Extract<ReadAnswer<T>, { outcome: 'answered' }> & { latencyMs: number })
  | Unavailable

export interface Model {
  readonly model: string
  /**
   * One structured question: at most two tries, then a value. Throws only for our own mistakes (a schema that is not strict)
   * and when `signal` is aborted.
   */
  ask<T>(request: Ask<T>): Promise<AskOutcome<T>>
  /** The most that `ask` can spend on this, both tries counted. Reserve it before, settle with `usage` after (reliability.md D37). */
  worstCaseCostMicros(request: Pick<Ask<unknown>, 'system' | 'data' | 'repairOf' | 'schema' | 'maxCompletionTokens'>): number
  /** An upper bound, by bytes. */
  estimateTokens(text: string): number
  close(): Promise<void>
}

const tries = 2
const connectTimeoutMs = 3_000
/** A longer wish of the provider is the caller's to plan, not ours to sleep through. */
const maxRetryAfterMs = 5_000

/** A client of OpenAI's chat completions (providers.md §7, reliability.md D33-D38). Holds a breaker and a ceiling, so open one per provider account. */
export function openModel(options: ModelOptions): Model {
  const { apiKey, model, pricing, timeoutMs = 20_000, retryDelayMs = 400, now = () => new Date(), random = Math.random } = options
  const maxConcurrent = options.maxConcurrent ?? 64
  const own = options.dispatcher ? undefined : new Agent({ connections: maxConcurrent, connect: { timeout: connectTimeoutMs } })
  const fetch = boundedFetch(options.dispatcher ?? (own as Agent), timeoutMs)
  const gate = createGate({ ...options.breaker, maxConcurrent })
  let sdk: ReturnType<typeof loadSdk> | undefined

  /** The SDK takes 165 ms and 36 MB to load: a process that never asks a model does not pay for it. */
  async function loadSdk() {
    const { default: OpenAI, APIError } = await import('openai')
    const client = new OpenAI({
      apiKey,
      baseURL: options.baseUrl ?? 'https://api.openai.com/v1',
      organization: null,
      project: null,
      maxRetries: 0, // retries inside retries multiply the cost
      timeout: timeoutMs + 1_000, // `boundedFetch` is the one that ends a call
      logLevel: 'off', // its debug log prints prompts
      fetch,
    })
    return { client, APIError }
  }

  async function attempt<T>(request: Ask<T>, worstCase: Usage): Promise<ReadAnswer<T> | Unavailable> {
    sdk ??= loadSdk()
    const { client, APIError } = await sdk
    try {
      const completion: unknown = await client.chat.completions.create(
        {
          model,
          messages: toMessages(request),
          max_completion_tokens: request.maxCompletionTokens ?? options.maxCompletionTokens ?? 1_024,
          response_format: {
            type: 'json_schema',
            json_schema: { name: request.schemaName, strict: true, schema: toStrictJsonSchema(request.schema) },
          },
          store: false, // nothing of a customer stays at the provider (reliability.md D36)
        },
        { ...(request.signal ? { signal: request.signal } : {}), ...(request.headers ? { headers: request.headers } : {}) },
      )
      return readAnswer(completion, request.schema, worstCase, pricing)
    } catch (error) {
      request.signal?.throwIfAborted()
      const transport = error instanceof Error && error.cause instanceof TransportError ? error.cause : undefined
      if (transport?.reason === 'too_large') return invalid(transport.message, '', worstCase)
      if (transport) {
        const kind = transport.reason === 'timeout' ? 'timeout' : 'connection'
        return { outcome: 'unavailable', kind, retryAfterMs: null, message: transport.message, mayBeBilled: transport.written }
      }
      if (error instanceof SyntaxError) return invalid('The answer is not JSON.', '', worstCase) // a body cut short by the provider
      if (error instanceof APIError && typeof error.status === 'number') {
        return readHttpError(error.status, error.error, Object.fromEntries(error.headers ?? []), now())
      }
      throw error
    }
  }

  return {
    model,
    estimateTokens,
    worstCaseCostMicros: (request) =>
      tries * worstCaseUsage(request, request.maxCompletionTokens ?? options.maxCompletionTokens ?? 1_024, pricing).costMicros,

    async ask<T>(request: Ask<T>): Promise<AskOutcome<T>> {
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(request.schemaName))
        throw new TypeError(`schemaName: '${clip(request.schemaName, 80)}' is not a name.`)
      const worstCase = worstCaseUsage(request, request.maxCompletionTokens ?? options.maxCompletionTokens ?? 1_024, pricing)
      const startedAt = performance.now()
      let last: Unavailable | undefined
      for (let number = 1; number <= tries; number++) {
        request.signal?.throwIfAborted()
        const result = await gate.run(() => attempt(request, worstCase))
        if (result.outcome === 'answered') return { ...result, latencyMs: Math.round(performance.now() - startedAt) }
        if (result.outcome !== 'unavailable') return result
        // What failed says more than the breaker that it opened.
        if (last && result.kind === 'breaker_open') return last
        last = { ...result, mayBeBilled: result.mayBeBilled || last?.mayBeBilled === true }
        if (!worthAnotherTry(last) || number === tries) return last
        await wait(
          last.retryAfterMs ?? retryDelayMs * (0.5 + random() / 2),
          undefined,
          request.signal ? { signal: request.signal } : {},
        )
      }
      throw new Error('unreachable: the loop returns')
    },

    close: async () => {
      await own?.destroy()
    },
  }
}

/** Not after a time-out: the customer has waited 20 s, and a model that slow is no faster the second time. */
function worthAnotherTry({ kind, retryAfterMs }: Unavailable): boolean {
  if (retryAfterMs !== null && retryAfterMs > maxRetryAfterMs) return false
  return kind === 'rate_limited' || kind === 'server' || kind === 'connection'
}
