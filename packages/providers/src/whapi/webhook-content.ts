import { type Attachment, fitsEvent, type MessageContent, type MessageType } from '@parley/contracts'
import { count, currency, externalId, type Fields, fields, list, positive, real, text, word } from '../webhook/fields.ts'

const maxTextLength = 32_768

const empty: MessageContent = {
  type: 'unsupported',
  text: null,
  attachments: [],
  location: null,
  contacts: [],
  choice: null,
  order: null,
}

type Attached = { kind: Attachment['kind']; type: MessageType }
const attached: ReadonlyMap<string, Attached> = new Map([
  ['image', { kind: 'image', type: 'image' }],
  ['sticker', { kind: 'image', type: 'image' }],
  ['video', { kind: 'video', type: 'video' }],
  ['gif', { kind: 'video', type: 'video' }],
  ['short', { kind: 'video', type: 'video' }],
  ['audio', { kind: 'audio', type: 'audio' }],
  ['voice', { kind: 'audio', type: 'audio' }],
  ['document', { kind: 'file', type: 'file' }],
  ['documentWithCaption', { kind: 'file', type: 'file' }],
])

/**
 * What a Whapi message says. The content lies under a key named like the type; a type without it, or one we do not know,
 * is `unsupported` with whatever text it carries, so that a person can still see that something came.
 */
export function contentOf(type: string, message: Fields): MessageContent {
  const part = fields(message[type])
  const media = attached.get(type)
  if (media !== undefined) return mediaContent(media, type === 'documentWithCaption' ? fields(message.document ?? part) : part)
  switch (type) {
    case 'text':
    case 'link_preview':
      return worded('text', firstWords(part.body, part.url, part.link, part.canonical, part.title, part.description))
    case 'interactive':
      return worded('text', fields(part.body).text ?? part.body)
    case 'hsm':
      return worded('text', fields(part.body).text ?? part.body)
    case 'poll':
      return worded('poll', part.title)
    case 'system':
      return { ...empty, type: 'system', text: bodyText(part.body) }
    case 'product':
    case 'catalog':
      return worded('order_context', part.body ?? part.title ?? part.url ?? part.link ?? part.product_id ?? part.catalog_id)
    case 'location':
    case 'live_location':
      return locationContent(part)
    case 'contact':
    case 'contact_list':
      return contactContent(type === 'contact' ? [part] : list(part.list ?? part.contacts))
    case 'reply':
      return replyContent(part)
    case 'order':
      return orderContent(part)
  }
  return { ...empty, text: bodyText(part.body) }
}

/** A text as far as it fits an event; the receipt keeps the whole. */
export function bodyText(value: unknown): string | null {
  const whole = text(value, maxTextLength)
  if (whole === null) return whole
  let fitting = whole
  while (!fitsEvent(fitting)) fitting = text(fitting, Math.floor(fitting.length * 0.9)) ?? ''
  return fitting
}

/** True when `bodyText` had to cut. */
export function isCut(value: unknown, kept: string | null): boolean {
  return typeof value === 'string' && kept !== null && value.length > kept.length
}

/** The first of these that says anything: an empty text is none. */
function firstWords(...values: readonly unknown[]): unknown {
  return values.find((value) => typeof value === 'string' && value.trim() !== '')
}

function worded(type: MessageType, value: unknown): MessageContent {
  const words = bodyText(value)
  return words === null ? empty : { ...empty, type, text: words }
}

function mediaContent({ kind, type }: Attached, part: Fields): MessageContent {
  const attachment: Attachment = {
    kind,
    providerMediaId: externalId(part.id),
    // Absent unless the channel downloads by itself; then the id fetches it (providers.md §1).
    url: webAddress(part.link),
    mimeType: text(part.mime_type, 256),
    sizeBytes: count(part.file_size),
    fileName: text(part.file_name, 512) ?? text(part.filename, 512),
    durationSeconds: positive(part.seconds),
    sha256: text(part.sha256, 128),
  }
  if (attachment.providerMediaId === null && attachment.url === null) return { ...empty, text: bodyText(part.caption) }
  return { ...empty, type, text: bodyText(part.caption), attachments: [attachment] }
}

/** A cut address leads nowhere: too long counts as none. */
function webAddress(value: unknown): string | null {
  return typeof value === 'string' && value.length <= 4_096 && /^https?:\/\//.test(value) ? value : null
}

function locationContent(part: Fields): MessageContent {
  const latitude = real(part.latitude)
  const longitude = real(part.longitude)
  if (latitude === null || longitude === null) return empty
  return {
    ...empty,
    type: 'location',
    text: bodyText(part.caption),
    location: { latitude, longitude, name: text(part.name, 512), address: text(part.address, 1_024) },
  }
}

/** Business cards; their full text only while there is room for it in one event. */
function contactContent(cards: readonly unknown[]): MessageContent {
  let roomBytes = 24 * 1_024
  const contacts = cards.slice(0, 50).map((card) => {
    const { name, vcard } = fields(card)
    const whole = typeof vcard === 'string' && vcard.length <= 8_192 ? vcard : null
    roomBytes -= whole === null ? 0 : Buffer.byteLength(JSON.stringify(whole))
    return { name: text(name, 128) ?? '', vcard: roomBytes >= 0 ? whole : null }
  })
  return contacts.length === 0 ? empty : { ...empty, type: 'contact', contacts }
}

/** A pressed button or chosen row. WhatsApp puts its own prefix before the id that we had sent. */
function replyContent(part: Fields): MessageContent {
  const chosen = fields(part.buttons_reply ?? part.list_reply ?? part[text(part.type, 32) ?? ''])
  const id = text(chosen.id, 512)?.replace(/^(ButtonsV3|ListV3):/, '')
  const title = text(chosen.title, 512)
  if (id === undefined && title === null) return empty
  return { ...empty, type: 'reply', text: title, choice: { id: id ?? '', title: title ?? '' } }
}

/** A basket from the catalogue: no items in it, they are fetched with the token; the unit of the price is not documented. */
function orderContent(part: Fields): MessageContent {
  const orderId = externalId(part.order_id)
  if (orderId === null) return empty
  return {
    ...empty,
    type: 'order_context',
    text: bodyText(part.text ?? part.message),
    order: {
      orderId,
      token: text(part.token, 1_024),
      itemCount: count(part.item_count),
      totalPrice: word(part.total_price, 64),
      currency: currency(part.currency),
      title: text(part.title, 512),
    },
  }
}
