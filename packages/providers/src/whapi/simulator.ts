import { setTimeout as wait } from 'node:timers/promises'
import type { Faults } from '../http/faults.ts'
import { startSimulatorServer } from '../http/simulator-server.ts'
import { toChatId } from './client-lookup.ts'
import { createCallbacks, type Delivery, type WebhookTarget } from './simulator-callbacks.ts'
import { answerAsGateway } from './simulator-gateway.ts'
import { createCustomer, type Customer } from './simulator-customer.ts'
import { createLedger, type Ledger } from './simulator-ledger.ts'
import { type Content, type SimulatedMessage, type SimulatedStatus, statusItem, webhookPayload } from './simulator-payloads.ts'

export type { Fault } from '../http/faults.ts'
export type { Delivery, WebhookTarget } from './simulator-callbacks.ts'
export type { CustomerDelivery, CustomerMessage } from './simulator-customer.ts'
export type { SentEntry } from './simulator-ledger.ts'
export {
  type Content,
  says,
  type SimulatedMessage,
  type SimulatedStatus,
  statusItem,
  webhookPayload,
} from './simulator-payloads.ts'

export interface WhapiSimulatorOptions {
  port?: number
  token: string
  channelId: string
  /** Where the gateway calls us; may also be set later (`setWebhook`, or PATCH /settings). */
  webhook?: WebhookTarget
  /** The phone number of the linked phone, digits. */
  ownPhone?: string
  /** False: no status webhooks. Same as `behaviour.statuses = []`. */
  automaticStatuses?: boolean
  /** Pause between webhook tries, growing by a step each time. Default 50 ms and 1 s; the real gateway's least step is 3 s. */
  retry?: { stepMs: number; maxMs: number }
  now?: () => Date
  random?: () => number
}

/** What the gateway tells our webhook about our own sends; change it while it runs. */
export interface Behaviour {
  /** The echo of each API send (`from_me: true`, `source: api`), as a messages webhook. */
  echo: boolean
  statuses: SimulatedStatus[]
  /** The gateway promises no order. `reversed`: read arrives first, the echo last. */
  order: 'in_order' | 'reversed'
  /** How often each webhook is delivered. */
  copies: number
  /** How long the list of messages does not show one of ours yet. */
  listLagMs: number
}

export interface WhapiSimulator extends Ledger, Customer {
  url: string
  token: string
  channelId: string
  faults: Faults
  /** HTTP requests, also those that a fault answered. */
  requests(): number
  behaviour: Behaviour
  /** Any payload, as it is. */
  deliver(payload: unknown, options?: { persist?: boolean }): Promise<Delivery>
  /** A status webhook about a message that we sent. */
  reports(messageId: string, status: SimulatedStatus, errors?: { code: number; message: string }[]): Promise<Delivery>
  /** The phone gets linked (AUTH) or is lost (QR, ERROR…): sends are refused meanwhile, and the webhook hears of it. */
  setChannelStatus(text: 'INIT' | 'LAUNCH' | 'QR' | 'AUTH' | 'ERROR'): Promise<Delivery>
  setWebhook(target: WebhookTarget | undefined): void
  addMedia(id: string, bytes: Buffer, mimeType: string): void
  /** Phones that POST /contacts calls invalid. */
  notOnWhatsapp: Set<string>
  /** Resolves when every webhook so far was acknowledged with a 2xx; rejects after `deadlineMs`. */
  acknowledged(deadlineMs?: number): Promise<void>
  close(): Promise<void>
}

const channelCodes = { INIT: 1, LAUNCH: 2, QR: 3, AUTH: 4, ERROR: 5 }
const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * A Whapi.cloud gateway on 127.0.0.1 (providers.md §1): takes our sends, calls our webhook with echoes, statuses and customers'
 * messages, and misbehaves on order (`faults`, for sends unless told otherwise). Its ledger `sent` is the truth about how often
 * a customer would have heard from us.
 */
export async function startWhapiSimulator(options: WhapiSimulatorOptions): Promise<WhapiSimulator> {
  const { token, channelId, ownPhone = '33639980099', now = () => new Date(), random = Math.random } = options
  const chats = new Map<string, SimulatedMessage[]>()
  const byId = new Map<string, SimulatedMessage>()
  const media = new Map<string, { bytes: Buffer; mimeType: string }>()
  const acceptedAt = new Map<string, number>()
  const ledger = createLedger()
  const notOnWhatsapp = new Set<string>()
  const behaviour: Behaviour = {
    echo: true,
    statuses: options.automaticStatuses === false ? [] : ['pending', 'sent', 'delivered', 'read'],
    order: 'in_order',
    copies: 1,
    listLagMs: 0,
  }
  let target = options.webhook
  let channelStatus: keyof typeof channelCodes = 'AUTH'
  let lastId = 0
  let reporting = 0

  const callbacks = createCallbacks(() => target, options.retry ?? { stepMs: 50, maxMs: 1_000 })
  const seconds = (at: Date) => Math.floor(at.getTime() / 1000)

  /** Shaped like the gateway's ids; the number in it makes it unique whatever `random` is. */
  function newId(): string {
    lastId += 1
    let id = lastId.toString(36).padStart(8, '0')
    while (id.length < 22) id += idAlphabet[Math.floor(random() * idAlphabet.length)] ?? 'A'
    return `${id}-gSIMU`
  }

  function remember(message: SimulatedMessage): SimulatedMessage {
    byId.set(message.id, message)
    const chat = chats.get(message.chat_id)
    if (chat) chat.push(message)
    else chats.set(message.chat_id, [message])
    return message
  }

  function accept(to: string, content: Content): SimulatedMessage {
    const at = now()
    const message = remember({
      id: newId(),
      ...content,
      chat_id: toChatId(to),
      from_me: true,
      from: ownPhone,
      timestamp: seconds(at),
      source: 'api',
      device_id: 1,
      status: 'pending',
    })
    acceptedAt.set(message.id, at.getTime())
    ledger.add(message, to, at)
    if (target) void report(message)
    return message
  }

  /** Tells the webhook what becomes of a message of ours, one call after the other. */
  async function report(message: SimulatedMessage): Promise<void> {
    const payloads: unknown[] = behaviour.echo
      ? [webhookPayload(channelId, 'messages', 'post', { messages: [{ ...message }] })]
      : []
    for (const status of behaviour.statuses) payloads.push(statusPayload(message, status))
    if (behaviour.order === 'reversed') payloads.reverse()
    const copies = Math.max(1, behaviour.copies)
    reporting += 1
    for (const payload of payloads) {
      for (let copy = 0; copy < copies; copy++) await callbacks.post(payload, { persist: true })
    }
    reporting -= 1
  }

  function statusPayload(message: SimulatedMessage, status: SimulatedStatus, errors?: { code: number; message: string }[]) {
    const item = statusItem(message.id, status, message.chat_id, now())
    return webhookPayload(channelId, 'statuses', 'post', { statuses: [errors ? { ...item, errors } : item] })
  }

  function ourMessage(id: string): SimulatedMessage {
    const message = byId.get(id)
    if (!message?.from_me) throw new RangeError(`The simulator sent no message '${id}'.`)
    return message
  }

  const customer = createCustomer({ channelId, now, newId, remember, message: (id) => byId.get(id), post: callbacks.post })
  const gateway = {
    token,
    ownPhone,
    startedAt: now(),
    now,
    accept,
    channelStatus: () => ({ code: channelCodes[channelStatus], text: channelStatus }),
    message: (id: string) => byId.get(id),
    messagesOf: (chatId: string) => chats.get(chatId),
    isListed: (id: string) => (acceptedAt.get(id) ?? 0) <= now().getTime() - behaviour.listLagMs,
    media: (id: string) => media.get(id),
    isOnWhatsapp: (phone: string) => !notOnWhatsapp.has(phone),
    setWebhooks: ([first]: WebhookTarget[]) => {
      target = first
    },
  }
  const server = await startSimulatorServer({
    port: options.port,
    handle: (request) => answerAsGateway(gateway, request),
    faultsApplyTo: ({ method, path }) => method === 'POST' && path.startsWith('/messages/'),
  })

  return {
    url: server.url,
    token,
    channelId,
    faults: server.faults,
    requests: server.requests,
    behaviour,
    notOnWhatsapp,
    sent: ledger.sent,
    sentTo: ledger.sentTo,
    waitForSent: ledger.waitForSent,
    ...customer,
    deliver: callbacks.post,
    reports: (messageId, status, errors) => callbacks.post(statusPayload(ourMessage(messageId), status, errors)),
    setChannelStatus: async (text) => {
      channelStatus = text
      const health = {
        start_at: seconds(gateway.startedAt),
        uptime: 0,
        status: gateway.channelStatus(),
        version: 'parley-simulated-1',
      }
      return callbacks.post(webhookPayload(channelId, 'channel', 'post', { health }))
    },
    setWebhook: (next) => {
      target = next
    },
    addMedia: (id, bytes, mimeType) => {
      media.set(id, { bytes, mimeType })
    },
    acknowledged: async (deadlineMs = 5_000) => {
      const deadline = performance.now() + deadlineMs
      while (reporting + callbacks.pending() > 0) {
        if (performance.now() > deadline)
          throw new Error(`${callbacks.pending()} webhooks are not acknowledged after ${deadlineMs} ms.`)
        await wait(2)
      }
    },
    close: async () => {
      ledger.close()
      await callbacks.close()
      await server.close()
    },
  }
}
