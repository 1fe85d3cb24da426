import { BodyError } from './body-error.ts'

export interface KeyLimits {
  maxDepth: number
  maxKeys: number
  /** Providers' bodies: the last one wins, as in JSON.parse and jsonb. Our own API refuses them (reliability.md A13). */
  duplicateKeys: 'last' | 'refuse'
}

/** What the scan remembers about keys on its way through a body. */
export interface KeyWatch {
  bytes: Uint8Array
  limits: KeyLimits
  count: number
  /** Per level: 1 while inside the value of a key named `constructor`. */
  inConstructor: Uint8Array
  /** Per level: the names so far, only where a second one is refused. */
  names: Set<string>[] | null
}

export function watchKeys(bytes: Uint8Array, limits: KeyLimits): KeyWatch {
  const names = limits.duplicateKeys === 'refuse' ? [] : null
  return { bytes, limits, count: 0, inConstructor: new Uint8Array(limits.maxDepth + 1), names }
}

/** An object or array begins at this level. */
export function openLevel(watch: KeyWatch, depth: number): void {
  watch.inConstructor[depth] = 0
  if (watch.names) watch.names[depth] = new Set()
}

/**
 * Counts a key, and refuses those that become a prototype when somebody copies the object: `__proto__`, and `prototype`
 * inside `constructor`. `start` and `end` enclose the key with its quotes.
 */
export function seeKey(watch: KeyWatch, start: number, end: number, depth: number): void {
  if (++watch.count > watch.limits.maxKeys) {
    throw new BodyError('too_many_keys', `More than ${watch.limits.maxKeys} keys at byte ${start}.`)
  }
  watch.inConstructor[depth] = 0
  if (watch.names) refuseSecond(watch, start, end, depth)
  const length = end - start - 2
  // Only names of these lengths, or written with escapes, can be one of the three.
  if (length !== 9 && length !== 11 && !watch.bytes.subarray(start, end).includes(0x5c)) return
  const name = nameOf(watch.bytes, start, end)
  if (name === '__proto__' || (name === 'prototype' && watch.inConstructor[depth - 1] === 1)) {
    throw new BodyError('forbidden_key', `The key '${name}' at byte ${start} is not allowed.`)
  }
  if (name === 'constructor') watch.inConstructor[depth] = 1
}

function refuseSecond(watch: KeyWatch, start: number, end: number, depth: number): void {
  const names = watch.names?.[depth]
  const name = nameOf(watch.bytes, start, end)
  if (names?.has(name)) throw new BodyError('duplicate_key', `A key appears twice in one object at byte ${start}.`)
  names?.add(name)
}

/** The key as JSON.parse will read it, escapes resolved. */
function nameOf(bytes: Uint8Array, start: number, end: number): string {
  const token = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
  if (!token.includes('\\')) return token.slice(1, -1)
  try {
    return String(JSON.parse(token))
  } catch {
    throw new BodyError('invalid_json', `A malformed key at byte ${start}.`)
  }
}
