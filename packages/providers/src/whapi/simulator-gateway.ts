import type { SimulatedAnswer, SimulatedRequest } from '../http/simulator-server.ts'
import { isRecord } from './client-outcomes.ts'
import type { Content, SimulatedMessage } from './simulator-payloads.ts'

/** What the routes of the gateway work on. */
export interface Gateway {
  token: string
  ownPhone: string
  startedAt: Date
  now: () => Date
  channelStatus: () => { code: number; text: string }
  /** Stores a message of ours, tells the webhook, and returns it. */
  accept(to: string, content: Content): SimulatedMessage
  /** False while the list still lags behind what was accepted. */
  isListed(id: string): boolean
  message(id: string): SimulatedMessage | undefined
  messagesOf(chatId: string): readonly SimulatedMessage[] | undefined
  media(id: string): { bytes: Buffer; mimeType: string } | undefined
  isOnWhatsapp(phone: string): boolean
  setWebhooks(webhooks: { url: string; headers?: Record<string, string> }[]): void
}

const recipientPattern = /^[\d-]{7,31}(@[\w.]+)?$/
const mediaKinds = ['image', 'video', 'audio', 'voice', 'document']

const failure = (status: number, message: string): SimulatedAnswer => ({ status, body: { error: { code: status, message } } })
const ok = (body: unknown): SimulatedAnswer => ({ status: 200, body })

/** Answers one request as the documented gateway does (providers.md §1; statuses and shapes: its OpenAPI v1.8.7). */
export function answerAsGateway(gateway: Gateway, request: SimulatedRequest): SimulatedAnswer {
  const { method, path, query, body } = request
  if (request.headers.authorization !== `Bearer ${gateway.token}`) return failure(401, 'Unauthorized')
  const [, resource = '', second, third] = path.split('/').map(decodeURIComponent)

  if (method === 'POST' && resource === 'messages' && second) return send(gateway, second, body)
  if (method === 'GET' && resource === 'messages' && second === 'list') return list(gateway, third, query)
  if (method === 'GET' && resource === 'messages' && second) {
    const message = gateway.message(second)
    return message ? ok(message) : failure(404, 'Specified message not found')
  }
  if (method === 'PUT' && resource === 'messages' && second && third === 'reaction') return react(gateway, second, body)
  if (method === 'GET' && resource === 'health') return health(gateway)
  if (method === 'POST' && resource === 'contacts') return checkContacts(gateway, body)
  if (method === 'PATCH' && resource === 'settings') return changeSettings(gateway, body)
  if (method === 'GET' && resource === 'media' && second) {
    const media = gateway.media(second)
    return media
      ? { status: 200, body: media.bytes, headers: { 'content-type': media.mimeType } }
      : failure(404, 'Specified media not found')
  }
  return failure(404, `${method} ${path} is not part of the simulated gateway`)
}

function send(gateway: Gateway, kind: string, body: unknown): SimulatedAnswer {
  if (!isRecord(body)) return failure(400, 'Wrong request parameters: body must be a JSON object')
  if (gateway.channelStatus().text !== 'AUTH') return failure(401, 'Need channel authorization for send message')
  if (typeof body.to !== 'string' || !recipientPattern.test(body.to)) return failure(400, 'Wrong request parameters: to')
  const content = readContent(kind, body)
  if (typeof content === 'string') return failure(400, `Wrong request parameters: ${content}`)
  if (!content) return failure(404, `POST /messages/${kind} is not part of the simulated gateway`)
  const quoted = typeof body.quoted === 'string' ? { context: { quoted_id: body.quoted } } : {}
  return { status: 201, body: { sent: true, message: gateway.accept(body.to, { ...content, ...quoted }) } }
}

/** The content of a send request, the name of the field that is wrong, or undefined for a kind that we do not simulate. */
function readContent(kind: string, body: Record<string, unknown>): Content | string | undefined {
  if (kind === 'text') return filled(body.body) ? { type: 'text', text: { body: body.body } } : 'body'
  if (mediaKinds.includes(kind)) return filled(body.media) ? { type: kind, [kind]: mediaContent(kind, body) } : 'media'
  if (kind === 'interactive') return readInteractive(body)
  if (kind === 'location') {
    const { latitude, longitude } = body
    return typeof latitude === 'number' && typeof longitude === 'number'
      ? { type: 'location', location: { latitude, longitude } }
      : 'latitude, longitude'
  }
  if (kind === 'poll') {
    const { title, options, count = 1 } = body
    if (!filled(title)) return 'title'
    if (!Array.isArray(options) || options.length < 2 || options.length > 12) return 'options'
    return { type: 'poll', poll: { title, options, vote_limit: count } }
  }
  return undefined
}

function filled(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0
}

function mediaContent(kind: string, body: Record<string, unknown>): Record<string, unknown> {
  const mimeType = filled(body.mime_type) ? body.mime_type : 'application/octet-stream'
  return {
    id: `${kind}-${String(body.media).length.toString(16)}`,
    mime_type: mimeType,
    file_size: String(body.media).length,
    ...(filled(body.caption) ? { caption: body.caption } : {}),
    ...(filled(body.filename) ? { filename: body.filename, file_name: body.filename } : {}),
  }
}

/** Buttons are `{type: quick_reply, id, title}`; the nested `{reply: {…}}` of Meta's own API is named wrong by the vendor. */
function readInteractive(body: Record<string, unknown>): Content | string {
  const action = isRecord(body.action) ? body.action : {}
  if (!isRecord(body.body) || !filled(body.body.text)) return 'body.text'
  if (body.type === 'button') {
    const { buttons } = action
    if (!Array.isArray(buttons) || buttons.length < 1 || buttons.length > 3) return 'action.buttons'
    const sound = buttons.every(
      (button) =>
        isRecord(button) &&
        button.type === 'quick_reply' &&
        filled(button.id) &&
        filled(button.title) &&
        button.title.length <= 25,
    )
    if (!sound) return 'action.buttons'
  } else if (body.type === 'list') {
    const { list: choices } = action
    if (!isRecord(choices) || !Array.isArray(choices.sections) || !filled(choices.label)) return 'action.list'
  } else {
    return 'type'
  }
  const { header, footer } = body
  return { type: 'interactive', interactive: { type: body.type, header, body: body.body, footer, action } }
}

function list(gateway: Gateway, chatId: string | undefined, query: URLSearchParams): SimulatedAnswer {
  const all = chatId === undefined ? [] : gateway.messagesOf(chatId)
  if (!all) return failure(404, 'Specified chat not found')
  const count = Number(query.get('count') ?? 100)
  const offset = Number(query.get('offset') ?? 0)
  if (!(count >= 1 && count <= 500) || !(offset >= 0)) return failure(400, 'Wrong request parameters: count, offset')
  const from = Number(query.get('time_from') ?? 0)
  const until = Number(query.get('time_to') ?? Number.POSITIVE_INFINITY)
  const fromMe = query.get('from_me')
  const wanted = all.filter(
    (message) =>
      message.timestamp >= from &&
      message.timestamp <= until &&
      (fromMe === null || String(message.from_me) === fromMe) &&
      gateway.isListed(message.id),
  )
  if (query.get('sort') !== 'asc') wanted.reverse() // newest first is the gateway's own order
  const messages = wanted.slice(offset, offset + count)
  return ok({ messages, count: messages.length, total: wanted.length, offset })
}

function react(gateway: Gateway, id: string, body: unknown): SimulatedAnswer {
  if (!isRecord(body) || typeof body.emoji !== 'string') return failure(400, 'Wrong request parameters: emoji')
  return gateway.message(id) ? ok({ success: true }) : failure(404, 'Specified message not found')
}

function health(gateway: Gateway): SimulatedAnswer {
  const startAt = Math.floor(gateway.startedAt.getTime() / 1000)
  return ok({
    start_at: startAt,
    uptime: Math.floor(gateway.now().getTime() / 1000) - startAt,
    version: 'parley-simulated-1',
    status: gateway.channelStatus(),
    user: { id: gateway.ownPhone, name: 'Simulated shop' },
  })
}

function checkContacts(gateway: Gateway, body: unknown): SimulatedAnswer {
  if (!isRecord(body) || !Array.isArray(body.contacts)) return failure(400, 'Wrong request parameters: contacts')
  const contacts = body.contacts.map((input: unknown) => {
    const digits = String(input).replace(/\D/g, '')
    return gateway.isOnWhatsapp(digits)
      ? { input, status: 'valid', wa_id: `${digits}@s.whatsapp.net` }
      : { input, status: 'invalid' }
  })
  return ok({ contacts })
}

function changeSettings(gateway: Gateway, body: unknown): SimulatedAnswer {
  if (!isRecord(body) || !Array.isArray(body.webhooks)) return failure(400, 'Wrong settings format: webhooks')
  const webhooks: { url: string; headers?: Record<string, string> }[] = []
  for (const hook of body.webhooks as unknown[]) {
    if (!isRecord(hook) || !filled(hook.url)) return failure(400, 'Wrong settings format: webhooks.url')
    const headers = isRecord(hook.headers) ? Object.entries(hook.headers) : []
    if (headers.length > 5) return failure(400, 'Wrong settings format: webhooks.headers, at most 5')
    if ((hook.mode ?? 'body') !== 'body') return failure(400, 'The simulator only calls webhooks in mode body')
    webhooks.push({ url: hook.url, headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])) })
  }
  gateway.setWebhooks(webhooks)
  return ok({ before_update: {}, after_update: { webhooks: body.webhooks }, changes: ['webhooks'] })
}
