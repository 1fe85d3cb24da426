/**
 * How long the other side asks us to wait, in milliseconds, or null. Reads `retry-after-ms` (OpenAI, providers.md §7) and
 * `retry-after` as seconds or as an HTTP date. Header names in lower case.
 */
export function readRetryAfterMs(headers: Record<string, string>, now: Date): number | null {
  const precise = Number.parseFloat(headers['retry-after-ms'] ?? '')
  if (Number.isFinite(precise) && precise >= 0) return Math.ceil(precise)
  const text = headers['retry-after']?.trim()
  if (!text) return null
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  // Date.parse takes nearly anything ("-3" is a year to it): an HTTP date ends in GMT.
  const date = text.endsWith('GMT') ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? null : Math.max(0, date - now.getTime())
}
