const mask = '•••'

/** What may be shown of a credential: its last four characters tell two long ones apart, and would be too much of a short one. */
export function maskCredential(value: string): string {
  return value.length >= 16 ? mask + value.slice(-4) : mask
}

/** By field. */
export function maskCredentials(credentials: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(credentials).map(([field, value]) => [field, maskCredential(value)]))
}

/**
 * A text of somebody else's, fit to be stored and shown: some providers repeat the key that they refuse. Every credential in it, plain
 * or as it stands in an address, becomes a mask, and so does a credential that the text repeats without its beginning or its end.
 */
export function redact(text: string, credentials: Readonly<Record<string, string>>, maxLength = 500): string {
  const whole = Object.values(credentials)
    .flatMap((value) => [value, encodeURIComponent(value), Buffer.from(value).toString('base64')])
    .filter((value) => value.length >= 4)
    .sort((a, b) => b.length - a.length)
  // Half a key still is too much of a key.
  const halves = whole
    .filter((value) => value.length >= 16)
    .flatMap((value) => [value.slice(0, Math.ceil(value.length / 2)), value.slice(-Math.ceil(value.length / 2))])
  return [...whole, ...halves]
    .reduce((clean, value) => clean.replaceAll(value, mask), text)
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, maxLength)
    .toWellFormed()
}
