import type { Permission } from '@parley/contracts'
import { createHash } from 'node:crypto'

/** What a token may be used for: permissions, and `self` for calls about the person. */
export type Delegated = ReadonlySet<Permission | 'self'>

/** Somebody as another issuer knows them. */
export interface OutsideSubject {
  issuer: string
  subject: string
  /** Only one that the issuer says is theirs, and only where the operator lets it decide who they are. */
  email: string | null
}

/** A token whose signature was right. Nothing else of it is taken for granted a second time. */
export interface VerifiedToken {
  /** Of our own tokens: the key that signed it, asked about again at each call. Null for an outside issuer's. */
  kid: string | null
  /** Where to find the person. */
  subject: { userId: string } | OutsideSubject
  organizationId: string | null
  sessionId: string | null
  /** Null when the issuer does not say. */
  authenticatedAt: number | null
  /** Whether its owner proved themselves with a second factor too. */
  secondFactor: boolean
  /** Null when it may be used for all that its owner may. */
  delegated: Delegated | null
  expiresAtMs: number
}

const most = 20_000

/** Remembers by its hash that a token's signature was right, until it expires: the same one comes with each request of a client. */
export function rememberTokens() {
  const known = new Map<string, VerifiedToken>()
  return {
    async get(token: string, nowMs: number, verify: () => Promise<VerifiedToken>): Promise<VerifiedToken> {
      const hash = createHash('sha256').update(token).digest('base64')
      const entry = known.get(hash)
      if (entry && entry.expiresAtMs > nowMs) return entry
      known.delete(hash)
      const verified = await verify()
      if (known.size >= most) known.delete(known.keys().next().value as string)
      known.set(hash, verified)
      return verified
    },
  }
}
