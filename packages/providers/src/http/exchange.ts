import type { Dispatcher } from 'undici'

/** One HTTP request with every limit it has: the caller writes them at the call. */
export interface ExchangeRequest {
  method: 'GET' | 'POST' | 'PATCH'
  url: string
  headers: Record<string, string>
  body?: string | undefined
  /** From queueing for a connection to the last byte of the answer. */
  timeoutMs: number
  maxAnswerBytes: number
  signal?: AbortSignal | undefined
}

export type Answer = { ok: true; status: number; headers: Record<string, string>; body: Buffer }

/**
 * `written: false` is a proof: undici announces a request just before it writes it, so the other side cannot have acted.
 * `written: true` means nobody knows what the other side did.
 */
export type NoAnswer = {
  ok: false
  reason: 'timeout' | 'connection' | 'too_large' | 'aborted'
  written: boolean
  message: string
}

/**
 * Sends one request through undici's dispatcher and reads a bounded answer. Never throws for what the world does; redirects
 * are answers, not followed, because following one would hand our credentials to another host.
 */
export function exchange(dispatcher: Dispatcher, request: ExchangeRequest): Promise<Answer | NoAnswer> {
  return new Promise((resolve) => {
    const url = new URL(request.url)
    const chunks: Buffer[] = []
    let bytes = 0
    let status = 0
    let headers: Record<string, string> = {}
    let written = false
    let settled = false
    let abort: ((reason: Error) => void) | undefined

    const settle = (result: Answer | NoAnswer) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      request.signal?.removeEventListener('abort', onAbort)
      resolve(result)
    }
    const giveUp = (reason: NoAnswer['reason'], message: string) => {
      settle({ ok: false, reason, written, message })
      abort?.(new Error(message))
    }
    const onAbort = () => giveUp('aborted', 'The caller gave the request up.')
    const timer = setTimeout(() => giveUp('timeout', `No complete answer within ${request.timeoutMs} ms.`), request.timeoutMs)
    if (request.signal?.aborted) return onAbort()
    request.signal?.addEventListener('abort', onAbort, { once: true })

    dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: request.headers,
        body: request.body ?? null,
        // The one timer above covers all phases; undici's own would only blur which of them ended the call.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart(controller) {
          // A request given up while it queued must not be written when its turn comes.
          if (settled) return controller.abort(new Error('Given up before it was written.'))
          written = true
          abort = (reason) => controller.abort(reason)
        },
        onResponseStart(_controller, statusCode, responseHeaders) {
          status = statusCode
          headers = flatten(responseHeaders)
        },
        onResponseData(_controller, chunk) {
          bytes += chunk.length
          if (bytes > request.maxAnswerBytes)
            return giveUp('too_large', `The answer is larger than ${request.maxAnswerBytes} bytes.`)
          chunks.push(chunk)
        },
        onResponseEnd() {
          settle({ ok: true, status, headers, body: Buffer.concat(chunks, bytes) })
        },
        onResponseError(_controller, error) {
          settle({ ok: false, reason: 'connection', written, message: describe(error) })
        },
      },
    )
  })
}

/** What went wrong with a connection, in a few words: undici hides the useful part in `code` or in an AggregateError. */
function describe(error: Error): string {
  const inner = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error
  const code = 'code' in inner && typeof inner.code === 'string' ? `${inner.code}: ` : ''
  return clip(code + inner.message, 300)
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value
  }
  return flat
}

/** The beginning of a text that somebody else wrote, for messages of ours. Never ends inside a surrogate pair. */
export function clip(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  const cut = text.slice(0, maxLength - 1)
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`
}

/** Parsed JSON, or undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
