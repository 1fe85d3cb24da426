import type { ProviderName } from '@parley/contracts'

/** How long an old secret is accepted after a new one is set: Shopify signs with the old for up to an hour, people are slower (reliability.md A47). */
export const rotationMs = 24 * 3_600_000

/** The values that are good now: the current one first, the previous one while its rotation lasts. */
export function validSecrets(current: string | null, previous: string | null, rotatedAt: Date | null, now: Date): string[] {
  const values = current === null ? [] : [current]
  const inRotation = rotatedAt !== null && now.getTime() - rotatedAt.getTime() < rotationMs
  if (previous !== null && inRotation) values.push(previous)
  return values
}

/** What a source of each provider must be given, and what it gets from us. */
export interface SourceNeeds {
  /** Without it anybody's account of that provider would pass. */
  account: boolean
  /** The provider signs, with a secret that it shows. */
  signingSecret: boolean
  /** The provider signs nothing but sends a header that we choose (providers.md §1). */
  header: boolean
}

export function needsOf(provider: ProviderName): SourceNeeds {
  switch (provider) {
    case 'whapi':
      return { account: true, signingSecret: false, header: true }
    case 'shopify':
      return { account: true, signingSecret: true, header: false }
    case 'elevenlabs':
      return { account: false, signingSecret: true, header: false }
    case 'tavus':
      return { account: false, signingSecret: false, header: false }
  }
}
