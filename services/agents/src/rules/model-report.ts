/** What a turn tells the owner of the model account that it was asked through. */
export interface ModelReport {
  outcome: 'ok' | 'refused' | 'throttled'
  detail: string | null
}

/** Null: what went wrong says nothing about the account, a provider that was away or slow. */
export function reportOf(asked: { why: string | null; errorClass: string | null }): ModelReport | null {
  // Also a refusal to answer, and an answer that could not be used, were given to somebody with a good key.
  if (asked.why !== 'unavailable') return { outcome: 'ok', detail: null }
  switch (asked.errorClass ?? '') {
    case 'unauthorised':
      return { outcome: 'refused', detail: 'The provider refuses the key.' }
    case 'quota':
      return { outcome: 'throttled', detail: 'The account at the provider is used up.' }
    case 'rate_limited':
      return { outcome: 'throttled', detail: 'The provider takes no more requests of this account for the moment.' }
    default:
      return null
  }
}
