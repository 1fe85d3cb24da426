import { BodyError } from './body-error.ts'
import { type KeyLimits, openLevel, seeKey, watchKeys } from './keys.ts'

/** Ceilings for one body. A depth of 1 is one array or object; strings count in bytes as they stand in the body. */
export interface JsonLimits extends KeyLimits {
  maxItems: number
  maxStringBytes: number
}

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c
const minus = 0x2d
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/** No amount, id or measure needs more; Postgres would store any length and choke on it later. */
const longestNumber = 64
const digitsOfSafeInteger = 16

export interface JsonScan {
  /** Offsets of start and end, in turn, of each integer that a JavaScript number cannot hold. */
  bigIntegers: number[]
  /** Offsets of the four hex digits of each \u0000 and each lone surrogate. */
  brokenEscapes: number[]
}

/**
 * Checks the limits over bytes that need not be JSON (JSON.parse decides that afterwards) and finds what must be treated
 * before it. One pass, no recursion; memory grows with the depth only, and with the keys where duplicates are refused.
 */
export function scanJson(bytes: Uint8Array, limits: JsonLimits): JsonScan {
  const found: JsonScan = { bigIntegers: [], brokenEscapes: [] }
  const keys = watchKeys(bytes, limits)
  const end = bytes.length
  let depth = 0
  let items = 0
  let stringStart = 0
  let stringEnd = 0

  for (let at = 0; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === quote) {
      stringStart = at
      at = endOfString(bytes, at, found.brokenEscapes)
      stringEnd = at + 1
      if (stringEnd - stringStart - 2 > limits.maxStringBytes) {
        throw new BodyError('string_too_long', `A string of over ${limits.maxStringBytes} bytes at byte ${stringStart}.`)
      }
    } else if (byte === colon) {
      seeKey(keys, stringStart, stringEnd, depth)
    } else if (byte === comma) {
      if (++items > limits.maxItems) throw new BodyError('too_many_items', `More than ${limits.maxItems} values at byte ${at}.`)
    } else if (byte === openBrace || byte === openBracket) {
      if (++depth > limits.maxDepth)
        throw new BodyError('too_deep', `Nested deeper than ${limits.maxDepth} levels at byte ${at}.`)
      openLevel(keys, depth)
    } else if (byte === closeBrace || byte === closeBracket) {
      if (depth > 0) depth--
    } else if (byte === minus || isDigit(byte)) {
      at = endOfNumber(bytes, at, found.bigIntegers) - 1
    }
  }
  return found
}

/** Offset of the closing quote, or the last byte. Collects escapes that Postgres cannot store. */
function endOfString(bytes: Uint8Array, start: number, broken: number[]): number {
  let at = start + 1
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === quote) return at
    if (byte !== backslash) at++
    else if (bytes[at + 1] !== 0x75) at += 2
    else at = skipUnicodeEscape(bytes, at, broken)
  }
  return bytes.length - 1
}

/** Offset behind the escape at `at`, or behind both when it is the first half of a surrogate pair. */
function skipUnicodeEscape(bytes: Uint8Array, at: number, broken: number[]): number {
  const unit = hexUnit(bytes, at + 2)
  if (unit >= 0xd800 && unit <= 0xdbff && bytes[at + 6] === backslash && bytes[at + 7] === 0x75) {
    const low = hexUnit(bytes, at + 8)
    if (low >= 0xdc00 && low <= 0xdfff) return at + 12
  }
  if (unit === 0 || (unit >= 0xd800 && unit <= 0xdfff)) broken.push(at + 2)
  // Not four hex digits: step over the 'u' only, JSON.parse refuses it.
  return unit < 0 ? at + 2 : at + 6
}

/** The code unit that four hex digits name, or -1. */
function hexUnit(bytes: Uint8Array, at: number): number {
  let unit = 0
  for (let i = at; i < at + 4; i++) {
    const digit = hexDigit(bytes[i])
    if (digit < 0) return -1
    unit = (unit << 4) | digit
  }
  return unit
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return byte >= 0x41 && lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** Offset behind the number. Notes integers beyond 2^53; refuses what no number of ours can be. */
function endOfNumber(bytes: Uint8Array, start: number, big: number[]): number {
  let at = start + 1
  let whole = true
  let exponent = false
  let signInside = false
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (isDigit(byte)) continue
    if (byte === 0x2e) whole = false
    else if ((byte | 0x20) === 0x65) exponent = true
    else if (byte === minus || byte === 0x2b) signInside = true
    else break
  }
  const length = at - start
  if (length < digitsOfSafeInteger && !exponent) return at
  if (length > longestNumber)
    throw new BodyError('number_out_of_range', `A number of over ${longestNumber} characters at byte ${start}.`)
  if (exponent) {
    const value = Number(String.fromCharCode(...bytes.subarray(start, at)))
    if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      throw new BodyError('number_out_of_range', `A number too large to hold at byte ${start}.`)
    }
  } else if (whole && !signInside && isBeyondSafe(bytes, bytes[start] === minus ? start + 1 : start, at)) big.push(start, at)
  return at
}

/** Whether these digits name an integer beyond 2^53. Read from the bytes: a string for each would be most of a scan's cost. */
function isBeyondSafe(bytes: Uint8Array, start: number, end: number): boolean {
  // A number that begins with 0 is not JSON: JSON.parse must see it as it stands to refuse it.
  if (bytes[start] === 0x30) return false
  if (end - start !== digitsOfSafeInteger) return end - start > digitsOfSafeInteger
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + ((bytes[at] as number) - 0x30)
  return value > Number.MAX_SAFE_INTEGER
}
