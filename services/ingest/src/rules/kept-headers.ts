/**
 * The headers that a receipt keeps: what normalising needs when it is replayed, and what tells who sent it. A list of what stays,
 * because everything else may be a signature, a secret or somebody's cookie.
 */
const kept = new Set([
  'content-type',
  'user-agent',
  ...['x-shopify', 'shopify'].flatMap((family) =>
    ['topic', 'shop-domain', 'api-version', 'webhook-id', 'event-id', 'triggered-at', 'name'].map((name) => `${family}-${name}`),
  ),
])
const longestValue = 1_024

export function keptHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const name of kept) {
    const value = headers[name]
    // Node joins repeated headers; the few that it gives as a list are not among these.
    if (typeof value === 'string') result[name] = value.slice(0, longestValue).replaceAll('\0', '')
  }
  return result
}
