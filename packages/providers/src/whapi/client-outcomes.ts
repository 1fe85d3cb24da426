import { type Answer, clip, type NoAnswer, parseJson } from '../http/exchange.ts'
import { readRetryAfterMs } from '../http/retry-after.ts'

/** The gateway would not, could not, or nobody knows. `unknown` must be looked up (`findSent`), never blindly repeated. */
export type NotDone =
  | { outcome: 'refused'; status: number; message: string }
  | { outcome: 'unauthorised'; message: string }
  | { outcome: 'retry'; afterMs: number | null; status: number | null; message: string }
  | { outcome: 'unknown'; message: string }

export type SendOutcome = { outcome: 'sent'; providerMessageId: string; sentAt: string } | NotDone

/** The part of a gateway message that we rely on (providers.md §1). */
export interface GatewayMessage {
  id: string
  type: string
  chatId: string
  fromMe: boolean
  /** ISO 8601; the gateway counts whole seconds. */
  sentAt: string
  /** The words of the message: its text, the body above its buttons, or its caption. */
  text: string | null
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads a gateway message, or undefined when it lacks what every message has. */
export function readGatewayMessage(value: unknown): GatewayMessage | undefined {
  if (!isRecord(value) || typeof value.id !== 'string' || value.id === '' || value.id.length > 256) return undefined
  const seconds = Number(value.timestamp)
  if (!Number.isFinite(seconds) || seconds <= 0 || seconds > 1e11) return undefined
  const type = typeof value.type === 'string' ? value.type : 'unknown'
  const content = isRecord(value[type]) ? value[type] : {}
  const body = isRecord(content.body) ? content.body.text : (content.body ?? content.caption)
  return {
    id: value.id,
    type,
    chatId: typeof value.chat_id === 'string' ? value.chat_id : '',
    fromMe: value.from_me === true,
    sentAt: new Date(seconds * 1000).toISOString(),
    text: typeof body === 'string' ? body : null,
  }
}

/** What an answer to POST /messages/* means. `now` stands in when the gateway gives no time. */
export function readSendAnswer(answer: Answer | NoAnswer, now: Date): SendOutcome {
  if (!answer.ok || answer.status < 200 || answer.status > 299) return readFailure(answer, now)
  const body = parseJson(answer.body.toString('utf8'))
  if (!isRecord(body)) return { outcome: 'unknown', message: 'The gateway accepted the message with an unreadable answer.' }
  // The gateway's own word that nothing was sent; it answers the same again, so this is final.
  if (body.sent === false)
    return { outcome: 'refused', status: answer.status, message: errorMessage(body) ?? 'The gateway answered sent: false.' }
  const message = isRecord(body.message) ? body.message : {}
  // Without its id the message could not be matched with its statuses: the look-up finds the id.
  if (typeof message.id !== 'string' || message.id === '')
    return { outcome: 'unknown', message: 'The gateway named no message id.' }
  return { outcome: 'sent', providerMessageId: message.id, sentAt: readGatewayMessage(message)?.sentAt ?? now.toISOString() }
}

/**
 * What anything but a 2xx means (error classes: reliability.md D15; statuses: providers.md §1).
 *
 * 429, 408 and 503 state that the request was not taken on, so it may be repeated. Other 5xx may come from behind the point
 * where the message was handed to the phone (500 is a failure while working, 502 and 504 lost the backend's answer): the
 * customer may already be reading it, so they are `unknown`. A 3xx is refused, because following it would give the token away.
 */
export function readFailure(answer: Answer | NoAnswer, now: Date): NotDone {
  if (!answer.ok) {
    if (!answer.written) return { outcome: 'retry', afterMs: null, status: null, message: answer.message }
    return { outcome: 'unknown', message: answer.message }
  }
  const { status } = answer
  const message = errorMessage(parseJson(answer.body.toString('utf8'))) ?? `The gateway answered ${status}.`
  if (status === 401) return { outcome: 'unauthorised', message }
  if (status === 408 || status === 429 || status === 503) {
    return { outcome: 'retry', afterMs: readRetryAfterMs(answer.headers, now), status, message }
  }
  if (status >= 500) return { outcome: 'unknown', message: `${status}: ${message}` }
  return { outcome: 'refused', status, message }
}

function errorMessage(body: unknown): string | undefined {
  if (!isRecord(body) || !isRecord(body.error)) return undefined
  const parts = [body.error.message, body.error.details].filter((part) => typeof part === 'string' && part !== '')
  return parts.length === 0 ? undefined : clip(parts.join(': '), 500)
}
