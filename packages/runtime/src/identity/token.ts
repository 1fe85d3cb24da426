import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { z } from 'zod'
import { AppError } from '../errors.ts'

/** What an access token says; who may do what is looked up, not believed from here (reliability.md D43). */
export const AccessClaims = z.object({
  sub: z.uuid(),
  /** The organization that its owner has chosen; absent for none. */
  org: z.uuid().optional(),
  sid: z.uuid().optional(),
  exp: z.int(),
  iat: z.int(),
  auth_time: z.int(),
  /** Whether its session was opened with a second factor, or has had one confirmed since; absent: it was not. */
  mfa: z.boolean().optional(),
})
export type AccessClaims = z.infer<typeof AccessClaims>

export const tokenType = 'at+jwt'
export const tokenAudience = 'parley'
/** Longest token that is read at all. */
const longestToken = 8 * 1024
const skewSeconds = 60

/** Why a token is refused: for the log and the tests. The caller is told the same thing whatever it was. */
export class TokenRefused extends Error {
  override name = 'TokenRefused'
}

const Header = z.object({ alg: z.string(), kid: z.string().min(1).max(128), typ: z.string().optional() })

/** A header that only names one of our keys. One that brings its own key, or says where to fetch one, is a forger's (RFC 8725, 3.5). */
export function readHeader(token: string): z.infer<typeof Header> {
  if (token.length > longestToken) throw new TokenRefused('too long')
  let header: Record<string, unknown>
  try {
    header = { ...decodeProtectedHeader(token) }
  } catch (error) {
    throw new TokenRefused('no header', { cause: error })
  }
  const foreign = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64'].find((name) => name in header)
  if (foreign !== undefined) throw new TokenRefused(`its header has ${foreign}`)
  const parsed = Header.safeParse(header)
  if (!parsed.success) throw new TokenRefused('its header names no key')
  return parsed.data
}

const keyObjects = new Map<string, KeyObject>()

/** An Ed25519 public key of its point. */
function keyObject(x: string): KeyObject {
  let key = keyObjects.get(x)
  if (!key) {
    if (keyObjects.size >= 100) keyObjects.clear()
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    keyObjects.set(x, key)
  }
  return key
}

/**
 * Verifies an access token of our own with the public key that its header names. One algorithm, one audience, one issuer; `exp` to the
 * second, `nbf` and `iat` with a minute for other clocks. Throws TokenRefused.
 */
export async function verifyAccessToken(
  token: string,
  options: { issuer: string; x: string; nowMs: number },
): Promise<AccessClaims> {
  const payload = await verified(token, keyObject(options.x), {
    issuer: options.issuer,
    audience: tokenAudience,
    algorithms: ['EdDSA'],
    typ: tokenType,
    nowMs: options.nowMs,
  })
  const claims = AccessClaims.safeParse(payload)
  if (!claims.success) throw new TokenRefused('its claims are not ours', { cause: claims.error })
  return claims.data
}

type KeyOrFinder = Parameters<typeof jwtVerify>[1] | KeyObject

/** What every token must be, whoever issued it. */
export async function verified(
  token: string,
  key: KeyOrFinder,
  rules: { issuer: string; audience: string; algorithms: string[]; typ?: string; nowMs: number },
): Promise<JWTPayload> {
  const { issuer, audience, algorithms, typ, nowMs } = rules
  let payload: JWTPayload
  try {
    // The overloads take a key or a function that finds one, not either.
    const result = await jwtVerify(token, key as KeyObject, {
      issuer,
      audience,
      algorithms,
      ...(typ === undefined ? {} : { typ }),
      requiredClaims: ['iss', 'aud', 'exp', 'sub'],
      clockTolerance: skewSeconds,
      currentDate: new Date(nowMs),
    })
    payload = result.payload
  } catch (error) {
    // Keys that could not be had are no verdict about the token.
    if (error instanceof AppError || !(error instanceof Error) || !('code' in error)) throw error
    throw new TokenRefused(error.message, { cause: error })
  }
  const nowSeconds = nowMs / 1000
  if ((payload.exp ?? 0) <= nowSeconds) throw new TokenRefused('expired')
  if ((payload.iat ?? 0) > nowSeconds + skewSeconds) throw new TokenRefused('from the future')
  return payload
}
