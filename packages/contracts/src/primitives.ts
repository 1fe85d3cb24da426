import { z } from 'zod'
import { fitsKey, keyProblem } from './lanes.ts'

/** A UUID as text. Ids of ours are UUIDv7: they sort by creation time. */
export const Id = z.uuid()
export type Id = z.infer<typeof Id>

/**
 * An id that an outside system gave. Text, because Shopify's ids exceed 2^53 and JSON numbers would be rounded
 * (providers.md §3); bounded, because it becomes part of unique keys and subjects.
 */
export const ExternalId = z.string().min(1).max(256)

/** An outside id that events are ordered by: it fits a subject, however many bytes its letters take there. */
export const KeyId = ExternalId.refine(fitsKey, keyProblem)

/** A secret that travels as the value of a header: any other character would end, split or fail the call. */
export const HeaderSecret = z
  .string()
  .trim()
  .min(8)
  .regex(/^[\x21-\x7e]+$/, 'must be one word of printable ASCII')

/** A moment, ISO 8601 in UTC with milliseconds. */
export const Timestamp = z.iso.datetime()

/** ISO 4217. Money is integer minor units beside it, never a float. */
export const Currency = z.string().regex(/^[A-Z]{3}$/)

/** A decimal amount exactly as the shop wrote it, for shops' money that we only pass on ("398.00"). */
export const DecimalText = z.string().regex(/^-?\d{1,18}(\.\d{1,6})?$/)

/** Text a person wrote. WhatsApp's own limit for a text message is 65,536 characters; half of it fits an event. */
export const MessageText = z.string().max(32_768)

/** Bytes that a text may take as JSON: an event holds 64 KiB, and there are other fields beside it. */
export const maxTextBytes = 40 * 1_024

/** Whether the text takes no more than that: a quote takes two bytes there, a control character six, most of Asia's letters three. */
export const fitsEvent = (text: string) =>
  text.length * 6 <= maxTextBytes || new TextEncoder().encode(JSON.stringify(text)).length <= maxTextBytes

/** Blanks, controls, marks of direction, joiners, fillers and the empty Braille cell: nobody sees them. */
const visible = /[^\s\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/u

/** What a person typed into a field of ours: there is something to see, and it can be stored. */
export const WrittenText = (longest: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .refine((text) => visible.test(text), 'needs a character that can be seen')
    .refine(fitsEvent, `takes more than ${maxTextBytes} bytes as it is stored`)

/** Which fields and lists hold only the beginning of what the provider told; absent: all is there. Whoever needs the rest reads it again. */
export const Truncated = z.array(z.string().max(64)).max(32).optional()
