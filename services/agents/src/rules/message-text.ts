import type { MessageContent, Quote } from '@parley/contracts'
import { cleanText, clipText } from './clean-text.ts'
import { redactCards } from './masking.ts'

/** What one message may weigh in a prompt and in our projection (reliability.md A56). */
export const maxMessageLength = 4_000

/**
 * A message in words: its text, and in brackets what else it carries. No media links (they are credentials of a kind) and no
 * card numbers. Never empty and at most 4,000 characters.
 */
export function messageText(content: MessageContent): string {
  const parts = [
    content.choice?.title,
    content.text,
    ...content.attachments.map(({ kind, fileName }) => (fileName ? `[${kind}: ${bracketed(fileName)}]` : `[${kind}]`)),
    content.location && `[location: ${bracketed(place(content.location))}]`,
    ...content.contacts.map(({ name }) => `[contact: ${bracketed(name)}]`),
    content.order && `[cart sent: ${bracketed(cart(content.order))}]`,
  ].filter((part) => typeof part === 'string' && part.trim() !== '')
  const text = redactCards(cleanText(parts.join('\n'))).trim()
  return clipText(text === '' ? `[${content.type}]` : text, maxMessageLength)
}

const maxQuoteLength = 1_000

/** What a message answers to, in words, and who said it. Never empty and at most 1,000 characters. */
export function quoteText({ type, text, name }: Quote): string {
  const kind = type === 'text' ? null : name ? `[${type}: ${bracketed(name)}]` : `[${type}]`
  const words = [text, kind].filter((part) => part !== null && part.trim() !== '').join('\n')
  const clean = redactCards(cleanText(words)).trim()
  return clipText(clean === '' ? `[${type}]` : clean, maxQuoteLength)
}

/** A name that the customer chose, on one line and without the brackets that are ours. */
function bracketed(text: string): string {
  return clipText(text.replace(/[[\]\s]+/g, ' ').trim(), 200)
}

function place({ latitude, longitude, name, address }: NonNullable<MessageContent['location']>): string {
  return [name, address].filter(Boolean).join(', ') || `${latitude.toFixed(4)}, ${longitude.toFixed(4)}`
}

function cart({ title, itemCount }: NonNullable<MessageContent['order']>): string {
  return [title, itemCount === null ? null : `${itemCount} items`].filter(Boolean).join(', ') || 'contents unknown'
}
