import { isUtf8 } from 'node:buffer'
import { BodyError } from './body-error.ts'
import { type JsonLimits, scanJson } from './scan.ts'

export const defaultJsonLimits: JsonLimits = {
  maxDepth: 64,
  maxKeys: 10_000,
  maxItems: 100_000,
  maxStringBytes: 256 * 1024,
  duplicateKeys: 'last',
}

export interface ParsedBody {
  value: unknown
  /** True when NUL or half a surrogate pair was replaced by U+FFFD: Postgres stores neither (reliability.md §3). */
  repaired: boolean
}

/**
 * Parses JSON from a stranger. Limits are checked in one pass over the bytes before anything is built, so neither depth nor
 * number of keys costs memory. Integers beyond 2^53 come out as text, exact to the digit: they are ids, and JSON.parse
 * would round them (providers.md §3). Throws BodyError.
 */
export function parseJson(bytes: Uint8Array, limits: Partial<JsonLimits> = {}): ParsedBody {
  if (!isUtf8(bytes)) throw new BodyError('invalid_utf8', 'The body is not valid UTF-8.')
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new BodyError('invalid_utf8', 'The body starts with a byte order mark.')
  }
  const { bigIntegers, brokenEscapes } = scanJson(bytes, { ...defaultJsonLimits, ...limits })
  const safe = brokenEscapes.length === 0 ? bytes : repairEscapes(bytes, brokenEscapes)
  const text = bigIntegers.length === 0 ? decode(safe) : quoteSpans(safe, bigIntegers)
  return { value: parseText(text), repaired: brokenEscapes.length > 0 }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // V8 quotes the text around the fault, so neither its message nor the error itself may travel on into a log.
    const at = error instanceof SyntaxError ? /at position (\d+)/.exec(error.message)?.[1] : undefined
    throw new BodyError(
      'invalid_json',
      at === undefined ? 'The body is not valid JSON.' : `The body is not valid JSON at character ${at}.`,
    )
  }
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

const replacement = Buffer.from('FFFD')

function repairEscapes(bytes: Uint8Array, hexOffsets: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes)
  for (const offset of hexOffsets) copy.set(replacement, offset)
  return copy
}

/** The text with quotes put around the given [start, end) pairs: cheaper than a reviver, which would visit every value. */
function quoteSpans(bytes: Uint8Array, spans: readonly number[]): string {
  const out = Buffer.allocUnsafe(bytes.byteLength + spans.length)
  let from = 0
  let to = 0
  for (const boundary of spans) {
    out.set(bytes.subarray(from, boundary), to)
    to += boundary - from
    out[to++] = 0x22
    from = boundary
  }
  out.set(bytes.subarray(from), to)
  return out.toString('utf8')
}
