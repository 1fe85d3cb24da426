import { setTimeout as wait } from 'node:timers/promises'
import type { Fault, Faults } from '../http/faults.ts'
import { type SimulatedAnswer, type SimulatedRequest, startSimulatorServer } from '../http/simulator-server.ts'
import { type DataBlock, readDataBlocks } from './prompt.ts'
import { answerTurn } from './simulator-rules.ts'
import { turnSchemaName } from './turn-schema.ts'

export const simulatedModelName = 'parley-simulated-1'

/** One request as the simulated model read it. */
export interface ModelCall {
  at: Date
  schemaName: string
  messages: { role: string; content: string }[]
  /** The data blocks of the user messages. */
  data: DataBlock[]
  headers: Record<string, string | string[] | undefined>
}

/** A choice other than the model's own: text that is not what was asked for, a refusal, a cut-off, nothing at all. */
export type Reply = { content: string } | { refusal: string } | { cutOff: string } | { noChoices: true }

/** Milliseconds, for each call or for this one. */
type Latency = number | ((call: ModelCall) => number)

export interface ModelSimulatorOptions {
  port?: number
  /** When given, other keys are answered 401. */
  apiKey?: string
  /** Thinking time. Default 0; may be changed while it runs. */
  latencyMs?: Latency
  /** Answers to other schemas than the turn's, by schema name: the object to send as JSON. */
  answers?: Record<string, (call: ModelCall) => unknown>
  /** How many calls the ledger keeps, newest. Default 10,000. */
  maxLedger?: number
  now?: () => Date
}

export interface ModelSimulator {
  url: string
  /** With the API's path: what `openModel` takes as `baseUrl`. */
  baseUrl: string
  /** Faults of the wire. For faults of the mind use `replyNext`. */
  faults: Faults
  latencyMs: Latency
  /** The next `times` answers are these, whatever is asked. */
  replyNext(reply: Reply | ((call: ModelCall) => Reply), times?: number): void
  /** From now on every answer is made by this function; undefined brings the model's own mind back. */
  replyWith(reply: ((call: ModelCall) => Reply) | undefined): void
  calls: readonly ModelCall[]
  /** Calls that reached the model's mind, also those that the ledger has forgotten. */
  count: number
  /** HTTP requests, also those that a fault answered. */
  requests(): number
  /** Most calls in flight at one time. */
  peak: number
  promptTokens: number
  completionTokens: number
  /** The calls whose prompt contains a text: for canaries that must never leave the house. */
  callsContaining(text: string): ModelCall[]
  close(): Promise<void>
}

/** Ready-made wire faults, shaped as OpenAI answers them (providers.md §7). */
export const modelFaults = {
  serverError: (): Fault => ({ kind: 'status', status: 500, body: apiError('The server had an error.', 'server_error', null) }),
  rateLimited: (retryAfterSeconds?: number): Fault => ({
    kind: 'status',
    status: 429,
    headers: retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) },
    body: apiError('Rate limit reached.', 'requests', 'rate_limit_exceeded'),
  }),
  insufficientQuota: (): Fault => ({
    kind: 'status',
    status: 429,
    body: apiError('You exceeded your current quota.', 'insufficient_quota', 'insufficient_quota'),
  }),
  delay: (ms: number): Fault => ({ kind: 'delay', beforeMs: ms }),
  hangAfterHeaders: (): Fault => ({ kind: 'hang_after_headers' }),
  halfJson: (): Fault => ({ kind: 'half_json' }),
  oversize: (bytes = 2 * 1024 * 1024): Fault => ({ kind: 'oversize', bytes }),
  dropConnection: (): Fault => ({ kind: 'drop', acts: true }),
} as const

/**
 * A chat completions server on 127.0.0.1 with a tiny rule-based mind (`answerTurn`) that calls itself `parley-simulated-1`, so
 * that nobody takes it for a model. It answers the turn schema by rules, other schemas through `answers`, and keeps a ledger of
 * every prompt that reached it.
 */
export async function startModelSimulator(options: ModelSimulatorOptions = {}): Promise<ModelSimulator> {
  const { apiKey, answers = {}, maxLedger = 10_000, now = () => new Date() } = options
  const calls: ModelCall[] = []
  const queued: { reply: (call: ModelCall) => Reply; left: number }[] = []
  let latency = options.latencyMs ?? 0
  const state = { count: 0, inFlight: 0, peak: 0, promptTokens: 0, completionTokens: 0 }
  const closing = new AbortController()
  let always: ((call: ModelCall) => Reply) | undefined

  function ownReply(call: ModelCall): Reply | undefined {
    const other = answers[call.schemaName]
    if (other) return { content: JSON.stringify(other(call)) }
    return call.schemaName === turnSchemaName ? { content: JSON.stringify(answerTurn(call.data)) } : undefined
  }

  function nextReply(call: ModelCall): Reply | undefined {
    const ordered = queued[0]
    if (ordered) {
      ordered.left -= 1
      if (ordered.left <= 0) queued.shift()
      return ordered.reply(call)
    }
    return always ? always(call) : ownReply(call)
  }

  async function complete(request: SimulatedRequest): Promise<SimulatedAnswer> {
    const call = readCall(request, now())
    if (typeof call === 'string') return refuse(400, call, 'invalid_request_error')
    state.count += 1
    state.inFlight += 1
    state.peak = Math.max(state.peak, state.inFlight)
    try {
      calls.push(call)
      if (calls.length > maxLedger * 1.1) calls.splice(0, calls.length - maxLedger) // a tenth at a time: shifting each would cost
      const latencyMs = typeof latency === 'number' ? latency : latency(call)
      if (latencyMs > 0) await wait(latencyMs, undefined, { signal: closing.signal })
      const reply = nextReply(call)
      if (!reply)
        return refuse(
          400,
          `The simulator has no answer for the schema '${call.schemaName}'; give it one in \`answers\`.`,
          'invalid_request_error',
        )
      const body = completion(call, reply, state.count)
      state.promptTokens += body.usage.prompt_tokens
      state.completionTokens += body.usage.completion_tokens
      return { status: 200, body, headers: { 'x-request-id': `req_simulated_${state.count}` } }
    } finally {
      state.inFlight -= 1
    }
  }

  const server = await startSimulatorServer({
    port: options.port,
    faultsApplyTo: ({ path }) => path === '/v1/chat/completions',
    handle: (request) => {
      if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
        return refuse(401, 'Incorrect API key provided.', 'invalid_request_error', 'invalid_api_key')
      }
      if (request.method === 'POST' && request.path === '/v1/chat/completions') return complete(request)
      if (request.method === 'GET' && request.path === '/v1/models') {
        return {
          status: 200,
          body: { object: 'list', data: [{ id: simulatedModelName, object: 'model', created: 0, owned_by: 'parley' }] },
        }
      }
      return refuse(404, `${request.method} ${request.path} is not part of the simulated API.`, 'invalid_request_error')
    },
  })

  return {
    url: server.url,
    baseUrl: `${server.url}/v1`,
    faults: server.faults,
    requests: server.requests,
    get latencyMs() {
      return latency
    },
    set latencyMs(value: Latency) {
      latency = value
    },
    replyNext: (reply, times = 1) => {
      queued.push({ reply: typeof reply === 'function' ? reply : () => reply, left: times })
    },
    replyWith: (reply) => {
      always = reply
    },
    calls,
    get count() {
      return state.count
    },
    get peak() {
      return state.peak
    },
    get promptTokens() {
      return state.promptTokens
    },
    get completionTokens() {
      return state.completionTokens
    },
    callsContaining: (text) => calls.filter((call) => call.messages.some(({ content }) => content.includes(text))),
    close: async () => {
      closing.abort()
      await server.close()
    },
  }
}

function apiError(message: string, type: string, code: string | null) {
  return { error: { message, type, param: null, code } }
}

function refuse(status: number, message: string, type: string, code: string | null = null): SimulatedAnswer {
  return { status, body: apiError(message, type, code) }
}

/** The request as a call, or the sentence that says what the simulator does not do. */
function readCall(request: SimulatedRequest, at: Date): ModelCall | string {
  const body = request.body as
    | {
        stream?: unknown
        messages?: unknown
        response_format?: { type?: unknown; json_schema?: { name?: unknown; strict?: unknown } }
      }
    | undefined
  if (typeof body !== 'object' || body === null) return 'The body must be a JSON object.'
  if (body.stream) return 'The simulator does not stream: leave out `stream`.'
  if (!Array.isArray(body.messages) || body.messages.length === 0) return 'messages: must not be empty.'
  const messages: { role: string; content: string }[] = []
  for (const message of body.messages as { role?: unknown; content?: unknown }[]) {
    if (typeof message?.role !== 'string' || typeof message.content !== 'string')
      return 'messages: the simulator reads role and text content only.'
    messages.push({ role: message.role, content: message.content })
  }
  const format = body.response_format
  const name = format?.json_schema?.name
  if (format?.type !== 'json_schema' || typeof name !== 'string')
    return 'response_format: the simulator answers json_schema only.'
  const data = messages.filter(({ role }) => role === 'user').flatMap(({ content }) => readDataBlocks(content))
  return { at, schemaName: name, messages, data, headers: request.headers }
}

/** An answer in OpenAI's shape. Tokens are counted as a quarter of the characters, about what a real encoding makes of English. */
function completion(call: ModelCall, reply: Reply, number: number) {
  const text = 'content' in reply ? reply.content : 'cutOff' in reply ? reply.cutOff : null
  const refusal = 'refusal' in reply ? reply.refusal : null
  const promptTokens = Math.ceil(call.messages.reduce((sum, { content }) => sum + content.length, 0) / 4)
  const completionTokens = Math.ceil((text ?? refusal ?? '').length / 4)
  const choice = {
    index: 0,
    message: { role: 'assistant', content: text, refusal },
    logprobs: null,
    finish_reason: 'cutOff' in reply ? 'length' : 'stop',
  }
  return {
    id: `chatcmpl-simulated-${number}`,
    object: 'chat.completion',
    created: Math.floor(call.at.getTime() / 1000),
    model: simulatedModelName,
    choices: 'noChoices' in reply ? [] : [choice],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      completion_tokens_details: { reasoning_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
    },
  }
}
