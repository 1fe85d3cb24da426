import { Agent, type Dispatcher } from 'undici'
import { type Answer, exchange, type NoAnswer, parseJson } from '../http/exchange.ts'
import { asReadFailure, type FindSent, type Found, findSentMessage } from './client-lookup.ts'
import { isRecord, type NotDone, readFailure, readSendAnswer, type SendOutcome } from './client-outcomes.ts'
import { checkQuickReplies, type QuickReply } from './client-quick-replies.ts'

export type { FindSent, Found } from './client-lookup.ts'
export { toChatId } from './client-lookup.ts'
export type { GatewayMessage, NotDone, SendOutcome } from './client-outcomes.ts'
export { type QuickReply, readTypedChoice, typedFallback } from './client-quick-replies.ts'

export interface WhapiOptions {
  /** Default: the vendor's gateway. */
  baseUrl?: string
  /** The channel's token: one per linked phone. */
  token: string
  /** Shared by many clients to share their connections; without it the client opens and closes its own. */
  dispatcher?: Dispatcher
  /** For the whole call: queueing, connecting, sending, the complete answer. Default 10 s. */
  timeoutMs?: number
  now?: () => Date
}

/** Per call: extra headers, for `traceparent`. */
export interface CallOptions {
  headers?: Record<string, string>
  signal?: AbortSignal
}

interface Recipient {
  /** Digits, or a full id (`…@s.whatsapp.net`, `…@g.us`, `…@lid`). */
  to: string
  /** The provider's id of the message that this one answers. */
  quoted?: string | undefined
}

export type MediaKind = 'image' | 'video' | 'audio' | 'voice' | 'document'
export type SendText = Recipient & { text: string; linkPreview?: boolean | undefined }
export type SendQuickReplies = Recipient & { text: string; quickReplies: readonly QuickReply[] }
export type SendMedia = Recipient & {
  kind: MediaKind
  /** A URL, base64 data, or the gateway's media id. */
  media: string
  mimeType?: string | undefined
  /** Not for audio and voice, which have none. */
  caption?: string | undefined
  /** Documents only. */
  fileName?: string | undefined
}

type ReadFailure = Exclude<NotDone, { outcome: 'unknown' }>
export type Health = { outcome: 'healthy' | 'unhealthy'; status: string } | ReadFailure
export type ContactCheck = { outcome: 'valid'; chatId: string } | { outcome: 'invalid' } | ReadFailure
export type Media = { outcome: 'found'; bytes: Buffer; mimeType: string | null } | ReadFailure

export interface Whapi {
  sendText(message: SendText, options?: CallOptions): Promise<SendOutcome>
  sendMedia(message: SendMedia, options?: CallOptions): Promise<SendOutcome>
  /** Up to 3 buttons. The vendor calls them unstable: send `typedFallback` as the text when the choice matters. */
  sendQuickReplies(message: SendQuickReplies, options?: CallOptions): Promise<SendOutcome>
  /** The planned answer to an `unknown` send: did it go out after all? */
  findSent(query: FindSent, options?: CallOptions): Promise<Found>
  /** Healthy means the phone is linked and sending works (status AUTH). */
  health(options?: CallOptions): Promise<Health>
  /** Whether a phone number is on WhatsApp. */
  checkContact(phone: string, options?: CallOptions): Promise<ContactCheck>
  /** A customer's file by the gateway's media id; `maxBytes` default 16 MiB. */
  getMedia(mediaId: string, options?: CallOptions & { maxBytes?: number }): Promise<Media>
  close(): Promise<void>
}

const connectTimeoutMs = 3_000
const maxConnections = 32
const maxAnswerBytes = 256 * 1024
const maxMediaBytes = 16 * 1024 * 1024

/** A client of the Whapi.cloud gateway (providers.md §1). What the world does comes back as values; only our own mistakes throw. */
export function openWhapi(options: WhapiOptions): Whapi {
  const baseUrl = new URL(options.baseUrl ?? 'https://gate.whapi.cloud').href.replace(/\/$/, '')
  const { token, timeoutMs = 10_000, now = () => new Date() } = options
  const own = options.dispatcher ? undefined : new Agent({ connections: maxConnections, connect: { timeout: connectTimeoutMs } })
  const dispatcher = options.dispatcher ?? (own as Agent)

  async function call(
    method: 'GET' | 'POST',
    path: string,
    body: unknown,
    callOptions: CallOptions = {},
    maxBytes = maxAnswerBytes,
  ) {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await exchange(dispatcher, {
      method,
      url: baseUrl + path,
      headers: { ...callOptions.headers, accept: 'application/json', ...json, authorization: `Bearer ${token}` },
      body: body === undefined ? undefined : JSON.stringify(body),
      timeoutMs,
      maxAnswerBytes: maxBytes,
      signal: callOptions.signal,
    })
    return withoutToken(answer)
  }

  /** The words of a failure are stored and shown. One that repeats the token to us must not give it away there. */
  function withoutToken(answer: Answer | NoAnswer): Answer | NoAnswer {
    if (!answer.ok || answer.status < 400 || !answer.body.includes(token)) return answer
    return { ...answer, body: Buffer.from(answer.body.toString('utf8').replaceAll(token, '•••')) }
  }

  const send = async (path: string, body: Record<string, unknown>, callOptions?: CallOptions) =>
    readSendAnswer(await call('POST', path, body, callOptions), now())

  return {
    sendText: ({ to, text, quoted, linkPreview }, callOptions) =>
      send('/messages/text', { to, body: text, quoted, no_link_preview: linkPreview === false ? true : undefined }, callOptions),

    sendMedia: ({ to, kind, media, mimeType, caption, fileName, quoted }, callOptions) => {
      const silent = kind === 'audio' || kind === 'voice'
      const named = kind === 'document'
      const body = {
        to,
        media,
        mime_type: mimeType,
        caption: silent ? undefined : caption,
        filename: named ? fileName : undefined,
        quoted,
      }
      return send(`/messages/${kind}`, body, callOptions)
    },

    sendQuickReplies: async ({ to, text, quickReplies, quoted }, callOptions) => {
      checkQuickReplies(quickReplies)
      const buttons = quickReplies.map(({ id, title }) => ({ type: 'quick_reply', title, id }))
      return send('/messages/interactive', { to, type: 'button', body: { text }, action: { buttons }, quoted }, callOptions)
    },

    findSent: (query, callOptions) => findSentMessage((path) => call('GET', path, undefined, callOptions), now, query),

    health: async (callOptions) => {
      // `wakeup=false`: asking must not start a channel that somebody stopped on purpose.
      const answer = await call('GET', '/health?wakeup=false', undefined, callOptions)
      const body = readBody(answer)
      if (!body) return failedRead(answer)
      const text = isRecord(body.status) && typeof body.status.text === 'string' ? body.status.text : 'unknown'
      return { outcome: text === 'AUTH' ? 'healthy' : 'unhealthy', status: text }
    },

    checkContact: async (phone, callOptions) => {
      const answer = await call('POST', '/contacts', { blocking: 'wait', contacts: [phone] }, callOptions)
      const contacts = readBody(answer)?.contacts
      const contact: unknown = Array.isArray(contacts) ? contacts[0] : undefined
      if (!isRecord(contact)) return failedRead(answer)
      if (contact.status !== 'valid') return { outcome: 'invalid' }
      return {
        outcome: 'valid',
        chatId: `${typeof contact.wa_id === 'string' ? contact.wa_id.replace(/@.*/, '') : phone}@s.whatsapp.net`,
      }
    },

    getMedia: async (mediaId, { maxBytes = maxMediaBytes, ...callOptions } = {}) => {
      const answer = await call('GET', `/media/${encodeURIComponent(mediaId)}`, undefined, callOptions, maxBytes)
      // Too large once is too large again.
      if (!answer.ok && answer.reason === 'too_large') return { outcome: 'refused', status: 413, message: answer.message }
      if (!answer.ok || answer.status !== 200) return failedRead(answer)
      return { outcome: 'found', bytes: answer.body, mimeType: answer.headers['content-type'] ?? null }
    },

    close: async () => {
      await own?.destroy()
    },
  }

  function failedRead(answer: Answer | NoAnswer): ReadFailure {
    if (!answer.ok || answer.status < 200 || answer.status > 299) return asReadFailure(readFailure(answer, now()))
    return { outcome: 'retry', afterMs: null, status: answer.status, message: 'The gateway gave an unreadable answer.' }
  }
}

function readBody(answer: Answer | NoAnswer): Record<string, unknown> | undefined {
  if (!answer.ok || answer.status < 200 || answer.status > 299) return undefined
  const body = parseJson(answer.body.toString('utf8'))
  return isRecord(body) ? body : undefined
}
