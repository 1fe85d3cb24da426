import { createHash } from 'node:crypto'

/** Postgres takes 2,704 bytes in a row of an index; ids of ours and what else the row has fit beside it. */
const longestBytes = 2_000
const keptCharacters = 100

/**
 * A text of a stranger that becomes part of an index row: itself, or when an index could not hold it, its beginning and its SHA-256.
 * Same text, same answer; different texts, different answers.
 */
export function indexText(text: string): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
  if (clean.length * 3 <= longestBytes || Buffer.byteLength(clean) <= longestBytes) return clean
  return `${clean.slice(0, keptCharacters).toWellFormed()}#${createHash('sha256').update(text).digest('hex')}`
}
