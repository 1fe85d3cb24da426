/** How many lanes the bus has. Changing it reorders what is in flight, so it never changes. */
export const laneCount = 16

/** The lane in which everything about one key of one organization happens in order (32-bit FNV-1a). */
export function laneOf(organizationId: string, key: string): number {
  let hash = 0x811c9dc5
  const text = `${organizationId}/${key}`
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  // FNV's low bits mix poorly on short keys: fold the high half in before taking four of them.
  return ((hash >>> 16) ^ hash) & (laneCount - 1)
}

const safe = /^[A-Za-z0-9_-]+$/
const longestToken = 200

/**
 * Bytes that a text takes as a subject token: one for each of [A-Za-z0-9_-], three for each byte of UTF-8 of anything else, so that
 * an é takes 6 and an emoji 12.
 */
export function tokenBytes(text: string): number {
  if (safe.test(text)) return text.length
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0) as number
    bytes += safe.test(character) ? 1 : point < 0x80 ? 3 : point < 0x800 ? 6 : point < 0x10000 ? 9 : 12
  }
  return bytes
}

/** Whether events can have this key: a column of text holds it, and it is one token of their subject. */
export function fitsKey(text: string): boolean {
  // A character takes a byte at least: hostile lengths are not even counted.
  return text !== '' && text.length <= longestToken && !text.includes('\0') && tokenBytes(text) <= longestToken
}

/** What to say of a text that does not fit. */
export const keyProblem = `is too long or unreadable for an id: ${longestToken} bytes at most, where each byte of a character other than A–Z, a–z, 0–9, - and _ counts three`

/**
 * One NATS subject token out of any text. Injective: dots, wildcards, spaces, line ends and '%' become %XX of their
 * UTF-8 bytes, so an id can neither add a token nor match another's filter. Throws RangeError on empty or over-long text.
 */
export function encodeToken(text: string): string {
  if (safe.test(text) && text.length <= longestToken) return text
  if (text === '') throw new RangeError('A subject token cannot be empty.')
  let out = ''
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte)
    out += safe.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (out.length > longestToken) throw new RangeError(`A subject token cannot exceed ${longestToken} bytes.`)
  return out
}

/** The subject of one event: `<root>.<lane>.<type>.<organization>.<key>`; `root` is `evt` outside tests. */
export function subjectOf(root: string, type: string, organizationId: string, key: string): string {
  return subjectOn(root, laneOf(organizationId, key), type, organizationId, key)
}

/** As `subjectOf`, for a lane that is known already. */
export function subjectOn(root: string, lane: number, type: string, organizationId: string, key: string): string {
  return `${root}.${lane}.${type}.${encodeToken(organizationId)}.${encodeToken(key)}`
}
