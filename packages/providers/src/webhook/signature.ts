import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { Verdict, WebhookHeaders, WebhookSecrets } from './types.ts'

export const accepted: Verdict = Object.freeze({ ok: true })

export function refused(status: 401 | 403 | 404, reason: string): Verdict {
  return { ok: false, status, reason }
}

/** The header when it came exactly once. Node joins repeated ones with a comma, which no signature of ours contains twice. */
export function singleHeader(headers: WebhookHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : null
}

const base64Of32Bytes = /^[A-Za-z0-9+/]{43}=$/
const hexOf32Bytes = /^[0-9a-f]{64}$/

/**
 * 32 bytes out of standard base64 with its padding, or null. Buffer's own decoder would skip blanks and take missing padding
 * and base64url, so several texts would pass for one signature (reliability.md A2).
 */
export function bytesOfBase64(value: string): Buffer | null {
  if (!base64Of32Bytes.test(value)) return null
  const bytes = Buffer.from(value, 'base64')
  // The last character carries two unused bits: only one spelling of them is canonical.
  return bytes.toString('base64') === value ? bytes : null
}

/** 32 bytes out of 64 lower-case hex digits, or null. */
export function bytesOfHex(value: string): Buffer | null {
  return hexOf32Bytes.test(value) ? Buffer.from(value, 'hex') : null
}

/** True when the signature is the HMAC-SHA256 of the concatenated parts under one of the keys. Tries every key in any case. */
export function isSignedBy(keys: readonly string[], parts: readonly (string | Uint8Array)[], signature: Buffer): boolean {
  let matches = false
  for (const key of keys) {
    if (key === '') continue
    const mac = createHmac('sha256', key)
    for (const part of parts) mac.update(part)
    if (timingSafeEqual(mac.digest(), signature)) matches = true
  }
  return matches
}

/** True when both texts are equal, in time that tells neither content nor length: their hashes are compared. */
function sameText(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}

/** Does the request carry the static header that we had asked the provider to send? Refuses when the source has none set. */
export function checkStaticHeader(headers: WebhookHeaders, expected: WebhookSecrets['header']): Verdict {
  if (expected === undefined) return refused(401, 'header_not_configured')
  const sent = singleHeader(headers, expected.name.toLowerCase())
  if (sent === null) return refused(401, 'header_missing')
  let matches = false
  for (const value of expected.values) if (sameText(sent, value)) matches = true
  return matches ? accepted : refused(401, 'header_wrong')
}
