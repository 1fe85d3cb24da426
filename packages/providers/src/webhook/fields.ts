/**
 * Readers for fields of a stranger's JSON: each gives a value that its contract accepts, or null. By hand and not by zod,
 * because they run on every webhook before anything else does.
 */

export type Fields = Readonly<Record<string, unknown>>

const nothing: Fields = Object.freeze({})

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object, or an empty one. */
export function fields(value: unknown): Fields {
  return isFields(value) ? value : nothing
}

/** The array, or an empty one. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The text cut to `max` UTF-16 units, never through a surrogate pair; null for empty text and anything else. */
export function text(value: unknown, max: number): string | null {
  if (typeof value !== 'string' || value === '') return null
  return value.length <= max ? value : cut(value, max)
}

/** Like `text`, and a number counts as its digits: one provider sends codes as either. */
export function word(value: unknown, max: number): string | null {
  return typeof value === 'number' ? String(value) : text(value, max)
}

export function cut(value: string, max: number): string {
  const last = value.charCodeAt(max - 1)
  const splitsPair = last >= 0xd800 && last <= 0xdbff
  return value.slice(0, splitsPair ? max - 1 : max)
}

const unfitForId = /[\s\p{Cc}]/u

/** An id as text: a non-empty string without blanks, or a non-negative safe integer. Larger integers arrive as text from parseJson. */
export function externalId(value: unknown): string | null {
  if (typeof value === 'string') return value !== '' && value.length <= 256 && !unfitForId.test(value) ? value : null
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? String(value) : null
}

/** A whole number, as such or as its digits; null for anything else, which is unknown and not none. */
export function whole(value: unknown): number | null {
  if (typeof value === 'string') return /^-?\d{1,15}$/.test(value) ? Number(value) : null
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null
}

export function count(value: unknown): number | null {
  const number = whole(value)
  return number !== null && number >= 0 ? number : null
}

export function flag(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}

/** A number, as such or as decimal text. */
export function real(value: unknown): number | null {
  if (typeof value === 'string') return /^-?\d{1,15}(\.\d{1,20})?$/.test(value) ? Number(value) : null
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

export function positive(value: unknown): number | null {
  const number = real(value)
  return number !== null && number >= 0 ? number : null
}

const decimal = /^-?\d{1,18}(\.\d{1,6})?$/

/** Money as the provider wrote it. Shopify sends strings, and numbers in refunds (providers.md §3): those to 6 places. */
export function decimalText(value: unknown): string | null {
  if (typeof value === 'string') return decimal.test(value) ? value : null
  if (typeof value !== 'number') return null
  const written = String(value)
  if (decimal.test(written)) return written
  const rounded = value.toFixed(6).replace(/\.?0+$/, '')
  return decimal.test(rounded) ? rounded : null
}

/** ISO 4217; `XXX` means "no currency" there and comes with refunds, so it is none. */
export function currency(value: unknown): string | null {
  return typeof value === 'string' && /^[A-Z]{3}$/.test(value) && value !== 'XXX' ? value : null
}

/** None of these providers existed before: a zero, or seconds taken for milliseconds, is no time. */
const earliestMs = Date.UTC(2005, 0, 1)
const endOfYear9999Ms = 253_402_300_800_000

function iso(ms: number): string | null {
  return ms >= earliestMs && ms < endOfYear9999Ms ? new Date(ms).toISOString() : null
}

/** Clocks differ by minutes, not by more than this. */
const aheadMs = 86_400_000

/**
 * When something happened, as the provider says in Unix seconds, or when it arrived where that cannot be: a message dated 1970 would stand
 * unseen above all others, and one from the future below all that follow.
 */
export function happenedAt(value: unknown, receivedAt: string): { at: string; note: string | null } {
  const at = secondsToIso(value)
  if (at !== null && Date.parse(at) <= Date.parse(receivedAt) + aheadMs) return { at, note: null }
  return { at: receivedAt, note: 'Its time cannot be: the arrival counts.' }
}

/** Unix seconds, as a number or as digits, to ISO 8601. */
export function secondsToIso(value: unknown): string | null {
  if (typeof value === 'number') return iso(value * 1_000)
  return typeof value === 'string' && /^\d{1,12}$/.test(value) ? iso(Number(value) * 1_000) : null
}

const isoLike = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/

/** ISO 8601 with any offset to UTC; without one it is taken as UTC. */
export function isoToUtc(value: unknown): string | null {
  if (typeof value !== 'string') return null
  const match = isoLike.exec(value)
  return match ? iso(Date.parse(match[2] === undefined ? `${value}Z` : value)) : null
}

/** A moment as Unix seconds or as ISO 8601 text: one provider's versions differ. */
export function momentToIso(value: unknown): string | null {
  return secondsToIso(value) ?? isoToUtc(value)
}

/** How many bytes the value takes as JSON. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

/** What of a body did not fit its event, by the event's own names: whoever needs it reads it again. */
export class Cuts {
  readonly #names = new Set<string>()

  /** The text as far as it may go. */
  text(name: string, value: unknown, max: number): string | null {
    const kept = text(value, max)
    if (kept !== null && kept !== value) this.#names.add(name)
    return kept
  }

  /** As many items from the front as fit. */
  list<T>(name: string, items: readonly T[], maxItems: number, maxBytes: number): T[] {
    const kept = fitting(items, maxItems, maxBytes)
    if (kept.length < items.length) this.#names.add(name)
    return kept
  }

  note(name: string): void {
    this.#names.add(name)
  }

  /** The field that says so; nothing when all of it fitted. */
  said(): { truncated?: string[] } {
    return this.#names.size === 0 ? {} : { truncated: [...this.#names] }
  }
}

/** Bytes that the data of one event may take: 64 KiB less room for the envelope. */
export const maxEventBytes = 60 * 1_024

/** As many items from the front as fit both ceilings. */
export function fitting<T>(items: Iterable<T>, maxItems: number, maxBytes: number): T[] {
  const taken: T[] = []
  let bytes = 0
  for (const item of items) {
    bytes += jsonBytes(item) + 1
    if (taken.length === maxItems || bytes > maxBytes) break
    taken.push(item)
  }
  return taken
}

/** Whether the text can be the key of an event. */
export { fitsKey as fitsSubject } from '@parley/contracts'
