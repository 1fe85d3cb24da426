/** Postal address of a business. */
export interface Address {
  line1: string | null
  line2: string | null
  city: string | null
  region: string | null
  postalCode: string | null
  /** ISO 3166-1, two letters. */
  country: string | null
}

/** One line of text that a person reads: no control characters, which could break a mail's header or a log's line. */
export function isOneLine(text: string): boolean {
  return /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u.test(text)
}

/** True for an IANA zone that this system's own tables know. Offsets (`+02:00`) are not: they know no summer. */
export function isTimezone(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(text)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false // RangeError is how Intl says that it knows no such zone.
  }
}

/** A BCP 47 tag in its canonical writing (`fr-fr` becomes `fr-FR`); undefined when it is none. */
export function canonicalLocale(text: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(text)[0]
  } catch {
    return undefined // RangeError is how Intl says that it is no tag.
  }
}

const currencies = new Set(Intl.supportedValuesOf('currency'))
/** True for a code of ISO 4217. */
export function isCurrency(code: string): boolean {
  return currencies.has(code)
}

/** Names that would look like ours, or that hosts have for themselves. */
const reserved = new Set(
  (
    'www api app admin console portal mail smtp imap status support help billing auth login security parley localhost root ' +
    'postmaster abuse webhooks docs cdn static assets'
  ).split(' '),
)

/** True for one DNS label of 3 to 63 characters that may be given away. Punycode (`xn--`) may not: it can look like another business. */
export function mayBeSubdomain(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(text) && !text.startsWith('xn--') && !reserved.has(text)
}

/** True for a domain name with at least one dot and a top level that is no number. */
export function isDomain(text: string): boolean {
  return text.length <= 253 && /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/.test(text)
}

/** True for an http(s) address without a password in it. */
export function isWebsite(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
}

/** An international number without what people write between its digits; undefined when it is none (E.164). */
export function canonicalPhone(text: string): string | undefined {
  const bare = text.replace(/[\s().-]/g, '')
  return /^\+[1-9]\d{6,14}$/.test(bare) ? bare : undefined
}
