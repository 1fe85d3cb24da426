import { installationId } from '@parley/contracts'
import type { SealingKeys, ServiceDatabase } from '@parley/runtime'
import { SignJWT } from 'jose'
import { createPrivateKey, type KeyObject, randomUUIDv7 } from 'node:crypto'
import { currentSigningKey } from './db/signing-keys.ts'
import type { DB } from './db/types.ts'
import { accessTokenMs } from './rules/signing-keys.ts'

interface Claims {
  userId: string
  sessionId: string
  organizationId: string | null
  authenticatedAt: Date
  /** Whether its session has had a second factor. */
  secondFactor: boolean
}

export interface AccessTokens {
  /** A signed access token and how many seconds it lives. */
  sign(claims: Claims): Promise<{ accessToken: string; expiresIn: number }>
}

/** How long a key is used without looking whether there is a newer one; the next is published a day before it signs. */
const lookAgainMs = 60_000

/** Signs access tokens with the current key, kept in memory for a minute. */
export function openAccessTokens(options: {
  database: ServiceDatabase<DB>
  keys: SealingKeys
  issuer: string
  now(): Date
}): AccessTokens {
  const { database, keys, issuer, now } = options
  let held: { kid: string; key: KeyObject; until: number } | undefined

  async function current(): Promise<{ kid: string; key: KeyObject }> {
    const at = now()
    if (held !== undefined && held.until > at.getTime()) return held
    const found = await database.read(installationId, (tx) => currentSigningKey(tx, keys, at))
    // openApp makes the first one, so this is a table that somebody emptied.
    if (found === undefined) throw new Error('There is no signing key.')
    const until = Math.min(at.getTime() + lookAgainMs, found.until?.getTime() ?? Infinity)
    held = { kid: found.kid, key: createPrivateKey(found.privatePem), until }
    return held
  }

  return {
    async sign({ userId, sessionId, organizationId, authenticatedAt, secondFactor }) {
      const { kid, key } = await current()
      const issuedAt = Math.floor(now().getTime() / 1000)
      const expiresIn = accessTokenMs / 1000
      const accessToken = await new SignJWT({
        sid: sessionId,
        auth_time: Math.floor(authenticatedAt.getTime() / 1000),
        ...(organizationId === null ? {} : { org: organizationId }),
        ...(secondFactor ? { mfa: true } : {}),
      })
        .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid })
        .setIssuer(issuer)
        .setAudience('parley')
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + expiresIn)
        .setJti(randomUUIDv7())
        .sign(key)
      return { accessToken, expiresIn }
    },
  }
}
