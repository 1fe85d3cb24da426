/** A message as the gateway reports it: common fields plus the content under a key named like the type (providers.md §1). */
export type SimulatedMessage = {
  id: string
  type: string
  chat_id: string
  from_me: boolean
  from: string
  from_name?: string
  timestamp: number
  source: string
  status?: string
  context?: Record<string, unknown>
} & Record<string, unknown>

/** What somebody writes, without who, where and when. */
export type Content = { type: string; context?: Record<string, unknown> } & Record<string, unknown>

const sha256 = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA='

interface File {
  id?: string
  /** Present only when the owner switched automatic download on (gotcha 4). */
  link?: string
  caption?: string
  mimeType?: string
  sizeBytes?: number
}

function file(defaults: { id: string; mime_type: string }, { id, link, caption, mimeType, sizeBytes }: File) {
  return {
    id: id ?? defaults.id,
    mime_type: mimeType ?? defaults.mime_type,
    file_size: sizeBytes ?? 85_321,
    sha256,
    ...(link === undefined ? {} : { link }),
    ...(caption === undefined ? {} : { caption }),
  }
}

/** Content of every kind a customer sends, in the gateway's structure. */
export const says = {
  text: (body: string): Content => ({ type: 'text', text: { body } }),
  /** An answer to a given message, with WhatsApp's quote above it. */
  quoting: (quotedId: string, content: Content): Content => ({
    ...content,
    context: { ...content.context, quoted_id: quotedId },
  }),
  image: (options: File = {}): Content => ({
    type: 'image',
    image: { ...file({ id: 'jpeg-a1b2', mime_type: 'image/jpeg' }, options), width: 1080, height: 1920 },
  }),
  video: (options: File = {}): Content => ({
    type: 'video',
    video: { ...file({ id: 'mp4-a1b2', mime_type: 'video/mp4' }, options), seconds: 7 },
  }),
  sticker: (options: File = {}): Content => ({
    type: 'sticker',
    sticker: { ...file({ id: 'webp-a1b2', mime_type: 'image/webp' }, options), animated: false },
  }),
  audio: (options: File = {}): Content => ({
    type: 'audio',
    audio: { ...file({ id: 'mp3-a1b2', mime_type: 'audio/mpeg' }, options), seconds: 61 },
  }),
  voice: (options: File = {}): Content => ({
    type: 'voice',
    voice: { ...file({ id: 'oga-c3d4', mime_type: 'audio/ogg; codecs=opus' }, options), seconds: 4 },
  }),
  document: (fileName: string, options: File = {}): Content => ({
    type: 'document',
    document: {
      ...file({ id: 'pdf-a1b2', mime_type: 'application/pdf' }, options),
      file_name: fileName,
      filename: fileName,
      page_count: 2,
    },
  }),
  location: (latitude: number, longitude: number, place: { name?: string; address?: string } = {}): Content => ({
    type: 'location',
    location: { latitude, longitude, ...place },
  }),
  contact: (name: string, phone: string): Content => ({
    type: 'contact',
    contact: { name, vcard: `BEGIN:VCARD\nVERSION:3.0\nFN:${name}\nTEL;type=CELL;waid=${phone}:+${phone}\nEND:VCARD` },
  }),
  /** A pressed button; `id` is the one we sent, the gateway puts its prefix before it. */
  button: (id: string, title: string, quotedId?: string): Content => ({
    type: 'reply',
    reply: { type: 'buttons_reply', buttons_reply: { id: `ButtonsV3:${id}`, title } },
    ...(quotedId === undefined ? {} : { context: { quoted_id: quotedId } }),
  }),
  listRow: (id: string, title: string, description?: string): Content => ({
    type: 'reply',
    reply: {
      type: 'list_reply',
      list_reply: { id: `ListV3:${id}`, title, ...(description === undefined ? {} : { description }) },
    },
  }),
  /** A cart from the WhatsApp catalogue: no items, they are fetched with the token (gotcha 5). */
  order: (order: { orderId: string; itemCount?: number; totalPrice?: number; currency?: string }): Content => ({
    type: 'order',
    order: {
      order_id: order.orderId,
      seller: '33639980099',
      title: 'Cart',
      token: 'c2ltdWxhdGVkLW9yZGVyLXRva2Vu',
      item_count: order.itemCount ?? 1,
      currency: order.currency ?? 'EUR',
      total_price: order.totalPrice ?? 1990,
      status: 'new',
    },
  }),
  /** An emoji on a message; an empty one takes it away. */
  reaction: (targetId: string, emoji: string): Content => ({
    type: 'action',
    action: { target: targetId, type: 'reaction', emoji },
  }),
  pollVote: (pollId: string, votes: string[]): Content => ({ type: 'action', action: { target: pollId, type: 'vote', votes } }),
  system: (body: string): Content => ({ type: 'system', system: { body } }),
  unknown: (): Content => ({ type: 'unknown' }),
}

type Verb = 'post' | 'put' | 'patch' | 'delete'

/** A webhook body: the items under their key, what happened, and whose phone it is about. */
export function webhookPayload(channelId: string, type: string, event: Verb, items: Record<string, unknown>) {
  return { ...items, event: { type, event }, channel_id: channelId }
}

/** Codes 3 and 4 are published, the others follow their order; readers go by the word (providers.md §1). */
const statusCodes = { failed: 0, pending: 1, sent: 2, delivered: 3, read: 4, played: 5, deleted: 6 } as const
export type SimulatedStatus = keyof typeof statusCodes

/** A status item: its timestamp is seconds as a string, unlike a message's. */
export function statusItem(id: string, status: SimulatedStatus, chatId: string, at: Date) {
  return { id, code: statusCodes[status], status, recipient_id: chatId, timestamp: String(Math.floor(at.getTime() / 1000)) }
}
