import type { DataOf, privacyRequested } from '@parley/contracts'

/**
 * The phone number by which a shop's demand to erase a customer finds them here, as `+` and digits; undefined when it finds nobody by itself.
 * A number without its country could be somebody else's, an e-mail address or the shop's own id says nothing to us, and what is
 * erased does not come back: these wait for a person, as do a demand for a copy and that of a whole shop.
 */
export function phoneToErase({ kind, customer }: Pick<DataOf<typeof privacyRequested>, 'kind' | 'customer'>): string | undefined {
  if (kind !== 'customer_redact') return undefined
  const phone = customer?.phone?.replace(/[\s().-]/g, '') ?? ''
  // E.164: at most 15 digits, and no country's code begins with 0.
  return /^\+[1-9][0-9]{6,14}$/.test(phone) ? phone : undefined
}
