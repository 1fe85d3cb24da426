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

/** Which fields and lists hold only the beginning of what the provider told; absent: all is there. Whoever needs the rest reads it again. */
export const Truncated = z.array(z.string().max(64)).max(32).optional()
