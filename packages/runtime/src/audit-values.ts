import { createHash } from 'node:crypto'

const longestText = 1_000
const shownOfText = 200
const longestList = 100
const largestBytes = 12 * 1024
const mask = '•••'

/**
 * Names whose text is a secret wherever it stands. The routes leave secrets out; this is the second lock, for the day one forgets. The
 * end of the name decides: `accessToken` is one, `maxTokens` and `tokenExpiresAt` are not.
 */
const secretName = /(?:secret|password|token|authorization|credentials?|private_?key|hash)$|^sealed/i

/**
 * The values of an audit entry as they may be kept: JSON, without secrets, and so small that before and after always fit into one event
 * (64 KiB). A long text keeps its beginning, its length and its SHA-256, which still proves what it was.
 */
export function auditedValues(values: Record<string, unknown> | null): Record<string, never> | null {
  if (values === null) return null
  // Dates become text, and what JSON has no word for is left out.
  const plain = JSON.parse(JSON.stringify(values)) as Record<string, never>
  const kept = shortened(plain) as Record<string, never>
  const text = JSON.stringify(kept)
  if (Buffer.byteLength(text) <= largestBytes) return kept
  return { note: `too large to keep: ${Object.keys(plain).length} fields, SHA-256 ${sha256(JSON.stringify(plain))}` as never }
}

function shortened(value: unknown, name = ''): unknown {
  if (secretName.test(name) && value !== null && typeof value !== 'boolean' && typeof value !== 'number') return masked(value)
  if (typeof value === 'string') return shortText(value)
  if (Array.isArray(value)) {
    const items = value.slice(0, longestList).map((item) => shortened(item))
    return value.length > longestList ? [...items, `… and ${value.length - longestList} more`] : items
  }
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, shortened(field, key)]))
}

/** What is masked already, as `•••last4`, stays as it is. */
const masked = (value: unknown) => (typeof value === 'string' && value.startsWith(mask) && value.length <= 12 ? value : mask)

function shortText(text: string): string {
  if (text.length <= longestText) return text
  return `${text.slice(0, shownOfText)}… (${text.length} characters, SHA-256 ${sha256(text)})`
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
