import { z } from 'zod'
import { Currency, ExternalId, MessageText, Timestamp } from '../primitives.ts'

/** Where a conversation takes place. */
export const Channel = z.enum(['whatsapp', 'sms', 'email', 'widget', 'messenger', 'shopify', 'woocommerce', 'voice'])
export type Channel = z.infer<typeof Channel>

/**
 * Who is on the other side: one person, a group, or a broadcast list (newsletters and status updates), which we
 * store and never answer.
 */
export const ChatKind = z.enum(['person', 'group', 'broadcast'])
export type ChatKind = z.infer<typeof ChatKind>

export const MessageType = z.enum([
  'text',
  'image',
  'video',
  'audio',
  'file',
  'location',
  'contact',
  'reply',
  'order_context',
  'poll',
  'system',
  'unsupported',
])
export type MessageType = z.infer<typeof MessageType>

export const SenderKind = z.enum(['user', 'agent', 'human', 'system'])
export type SenderKind = z.infer<typeof SenderKind>

/** Delivery states in the order in which a message may pass them; `failed` and `deleted` end it from any state. */
export const MessageStatus = z.enum([
  'received',
  'queued',
  'pending',
  'sent',
  'delivered',
  'read',
  'played',
  'failed',
  'deleted',
  'dropped',
])
export type MessageStatus = z.infer<typeof MessageStatus>

/** A file that came with or goes with a message. `url` expires at the provider and is personal data: never logged. */
export const Attachment = z.object({
  kind: z.enum(['image', 'video', 'audio', 'file']),
  providerMediaId: ExternalId.nullable(),
  url: z.string().max(4_096).nullable(),
  mimeType: z.string().max(256).nullable(),
  sizeBytes: z.int().min(0).nullable(),
  fileName: z.string().max(512).nullable(),
  durationSeconds: z.number().min(0).nullable(),
  sha256: z.string().max(128).nullable(),
})
export type Attachment = z.infer<typeof Attachment>

/** What a message says, whatever its channel: at least one of the parts is set, except for `unsupported`. */
export const MessageContent = z.object({
  type: MessageType,
  text: MessageText.nullable(),
  attachments: z.array(Attachment).max(20),
  location: z
    .object({
      latitude: z.number(),
      longitude: z.number(),
      name: z.string().max(512).nullable(),
      address: z.string().max(1_024).nullable(),
    })
    .nullable(),
  contacts: z.array(z.object({ name: z.string().max(512), vcard: z.string().max(8_192).nullable() })).max(50),
  /** A button or list row that the customer chose; `id` as we sent it, without the provider's prefix. */
  choice: z.object({ id: z.string().max(512), title: z.string().max(512) }).nullable(),
  /** A cart sent from the WhatsApp catalogue; its items must be fetched with the token. The unit of `totalPrice` is unknown. */
  order: z
    .object({
      orderId: ExternalId,
      token: z.string().max(1_024).nullable(),
      itemCount: z.int().min(0).nullable(),
      totalPrice: z.string().max(64).nullable(),
      currency: Currency.nullable(),
      title: z.string().max(512).nullable(),
    })
    .nullable(),
})
export type MessageContent = z.infer<typeof MessageContent>

export const StatusError = z.object({ code: z.string().max(64).nullable(), message: z.string().max(1_024) })

export const ProviderName = z.enum(['whapi', 'shopify', 'elevenlabs', 'tavus'])
export type ProviderName = z.infer<typeof ProviderName>

/** Where a message came in, shared by the events of one chat. `chatKey` orders them: `<channel>:<account>:<chat>`. */
export const chatFields = {
  chatKey: z.string().min(1).max(512),
  channel: Channel,
  provider: ProviderName,
  /** The provider's id of our own number or inbox (Whapi: `channel_id`). */
  accountId: ExternalId,
  chatId: ExternalId,
}

/** The chat of an event whose provider names none, as some deletions: the message's id finds it, where no other chat has that id. */
export const unknownChat = 'unknown'

/**
 * Who changed a message. Only its writer may: a change by anybody else is kept as received and alters nothing. Absent where the provider
 * itself says what became of a message.
 */
export const changeAuthor = z.object({ id: ExternalId, fromUs: z.boolean() }).optional()

export const occurredAt = Timestamp
