import { exchange, parseJson } from '@parley/providers/http'
import type { Dispatcher } from '@parley/providers/http'
import { readRateLimit } from '../rules/connection-rate-limit.ts'
import { type ConnectionTest, testTimeoutMs } from './outcome.ts'

export interface Question {
  method?: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: string
  maxAnswerBytes?: number
  /** Judges a 2xx by its body; by default that alone is a yes. */
  judge?: (body: unknown) => Pick<ConnectionTest, 'outcome' | 'detail'>
  /** Statuses that mean "no such account", beside 401 and 403. */
  refusedBy?: readonly number[]
}

const maxAnswerBytes = 64 * 1024

/**
 * Asks a provider one cheap question. 401 and 403 are a refusal; whatever else is no answer to our question says nothing about the
 * credentials: it counts as unreachable. Redirects are not followed, because they would carry the credentials to another host.
 */
export async function askHttp(dispatcher: Dispatcher, question: Question, now: Date): Promise<ConnectionTest> {
  const answer = await exchange(dispatcher, {
    method: question.method ?? 'GET',
    url: question.url,
    headers: { accept: 'application/json', 'user-agent': 'parley', ...question.headers },
    body: question.body,
    timeoutMs: testTimeoutMs,
    maxAnswerBytes: question.maxAnswerBytes ?? maxAnswerBytes,
  })
  if (!answer.ok) return { outcome: 'unreachable', detail: answer.message, rateLimit: null }
  const rateLimit = readRateLimit(answer.headers, now)
  const body = parseJson(answer.body.toString('utf8'))
  if (answer.status >= 200 && answer.status < 300) {
    return { ...(question.judge?.(body) ?? { outcome: 'ok', detail: null }), rateLimit }
  }
  const isRefused = answer.status === 401 || answer.status === 403 || question.refusedBy?.includes(answer.status)
  const words = messageIn(body)
  const detail = `The provider answered ${answer.status}${words === undefined ? '.' : `: ${words}`}`
  return { outcome: isRefused ? 'refused' : 'unreachable', detail, rateLimit }
}

/** The words of an error body, wherever the provider puts them. */
function messageIn(body: unknown, depth = 0): string | undefined {
  if (typeof body === 'string') return body
  if (typeof body !== 'object' || body === null || depth > 3) return undefined
  const fields = body as Record<string, unknown>
  for (const name of ['message', 'error', 'detail', 'errors', '0']) {
    const found = messageIn(fields[name], depth + 1)
    if (found !== undefined && found !== '') return found
  }
  return undefined
}
