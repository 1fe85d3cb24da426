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
  return `${root}.${laneOf(organizationId, key)}.${type}.${encodeToken(organizationId)}.${encodeToken(key)}`
}
