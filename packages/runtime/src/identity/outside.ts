import { EmailAddress, Permission } from '@parley/contracts'
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTPayload, type RemoteJWKSet } from 'jose'
import { z } from 'zod'
import type { Asks } from '../bus-asks.ts'
import { AppError } from '../errors.ts'
import { TokenRefused, verified } from './token.ts'
import type { Delegated, OutsideSubject, VerifiedToken } from './verified-tokens.ts'

/** An identity provider of the operator's whose tokens are taken beside our own: Supabase, Auth0, any OpenID provider with a JWKS. */
export const OutsideIssuer = z.strictObject({
  issuer: z.url().max(512),
  audience: z.string().min(1).max(512),
  /** https, or http on this very machine. */
  jwksUri: z.url().refine((text) => /^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])[:/]/.test(text), 'must be https'),
  /** Pinned: what the token's own header says does not choose among others. Never a symmetric one. */
  algorithms: z
    .array(z.enum(['RS256', 'ES256', 'EdDSA']))
    .min(1)
    .default(['RS256']),
  /**
   * `typ` that its access tokens have (`at+jwt` where it follows RFC 9068), so that an ID token is no access token. Unset, any: many
   * providers type theirs `JWT` or not at all, and then only the audience tells them apart.
   */
  tokenType: z.string().min(1).max(64).optional(),
  /** The claim that names the organization; without it, the one the person last worked for. */
  organizationClaim: z.string().min(1).max(128).optional(),
  /**
   * Whether somebody new is the person here who has the same e-mail address. The issuer must say `email_verified`; one where people
   * may claim any address would hand out other people's accounts, so this is off unless the operator turns it on.
   */
  linkByEmail: z.boolean().default(false),
  /**
   * What its scopes are worth here: `{ "orders.read": ["conversations:read"] }`; `self` are calls about the person, `*` is everything. A token
   * then opens only what its scopes name, and of that what its owner may. Unset, it opens all that its owner may.
   */
  scopes: z.record(z.string().min(1).max(256), z.array(z.union([Permission, z.enum(['self', '*'])]))).optional(),
  /** The claim with its scopes, a text with spaces between them (RFC 9068, 2.2.3) or a list; `scp` at some providers. */
  scopeClaim: z.string().min(1).max(128).default('scope'),
  /** How it says that several factors were asked for, where it has no `mfa` in `amr` (RFC 8176): `{ "claim": "acr", "values": ["…"] }`. */
  multiFactor: z
    .strictObject({ claim: z.string().min(1).max(128), values: z.array(z.string().min(1).max(256)).min(1) })
    .optional(),
})
export type OutsideIssuer = z.infer<typeof OutsideIssuer>

/** Answered by accounts, which believes the token and not who sends it: whose identity at another issuer this is. */
export const askOutside = {
  topic: 'identity.outside',
  question: z.object({ token: z.string().min(1).max(8192) }),
  reply: z
    .object({
      userId: z.uuid(),
      memberOf: z.uuid().nullable(),
      /** Whether they have turned a second factor on here. */
      hasSecondFactor: z.boolean().optional(),
    })
    .nullable(),
} as const
type Person = NonNullable<z.infer<typeof askOutside.reply>>

export interface OutsideIssuers {
  /** Throws TokenRefused, or AppError unavailable while the issuer's keys cannot be had. */
  verify(token: string, issuer: string, nowMs: number): Promise<VerifiedToken>
  /** Whose token this is, which was verified before. */
  userOf(subject: OutsideSubject, token: string): Promise<Person | undefined>
}

/** Whom an outside issuer's token is of, said by its signature. Throws as `verify` does. */
export type ProveOutside = (token: string) => Promise<OutsideSubject>

export function proveOutside(issuers: Pick<OutsideIssuers, 'verify'>, now: () => number): ProveOutside {
  return async (token) => {
    const { subject } = await issuers.verify(token, issuerIn(token), now())
    if ('userId' in subject) throw new TokenRefused('it is no outside issuer’s')
    return subject
  }
}

export function issuerIn(token: string): string {
  try {
    return decodeJwt(token).iss ?? ''
  } catch (error) {
    throw new TokenRefused('no claims', { cause: error })
  }
}

const fetchTimeoutMs = 5_000
const cooldownMs = 30_000
const keysLiveMs = 600_000
const largestJwksBytes = 256 * 1024
const knownMs = 60_000
const unknownMs = 2_000
const mostKnown = 20_000

export function openOutsideIssuers(issuers: readonly OutsideIssuer[], bus: Asks): OutsideIssuers {
  const byName = new Map(issuers.map((issuer) => [issuer.issuer, { ...issuer, keys: openKeys(issuer.jwksUri) }]))
  const people = new Map<string, { person: Person | undefined; until: number }>()

  return {
    async verify(token, name, nowMs) {
      const issuer = byName.get(name)
      if (!issuer) throw new TokenRefused('its issuer is unknown')
      const { algorithms, audience, keys, tokenType, organizationClaim, linkByEmail } = issuer
      const payload = await verified(token, keys, {
        issuer: name,
        audience,
        algorithms,
        nowMs,
        ...(tokenType === undefined ? {} : { typ: tokenType }),
      })
      const organization = organizationClaim === undefined ? undefined : payload[organizationClaim]
      // A claim that should name the organization and does not is not a reason to choose another one.
      const organizationId = organizationClaim === undefined ? null : z.uuid().safeParse(organization).data
      // Not `iat`: a token that was renewed is young, and its owner may have signed in a week ago. Nobody knows is not recently.
      const authenticatedAt = z.int().safeParse(payload['auth_time']).data
      if (organizationId === undefined || !payload.sub || payload.sub.length > 256)
        throw new TokenRefused('its claims say too little')
      return {
        kid: null,
        subject: { issuer: name, subject: payload.sub, email: linkByEmail ? provenEmail(payload) : null },
        organizationId,
        sessionId: null,
        authenticatedAt: authenticatedAt === undefined ? null : authenticatedAt * 1000,
        secondFactor: saysSeveralFactors(payload, issuer),
        delegated: delegatedBy(payload, issuer),
        expiresAtMs: (payload.exp ?? 0) * 1000,
      }
    },
    async userOf({ issuer, subject }, token) {
      const name = `${issuer} ${subject}`
      const known = people.get(name)
      if (known && known.until > performance.now()) return known.person
      try {
        const person = (await bus.ask(askOutside.topic, { token }, askOutside.reply)) ?? undefined
        people.delete(name)
        if (people.size >= mostKnown) people.delete(people.keys().next().value as string)
        people.set(name, { person, until: performance.now() + (person ? knownMs : unknownMs) })
        return person
      } catch (error) {
        // Whose identity it is hardly ever changes, and what they may do is looked up elsewhere: accounts may be away for a while.
        if (known?.person) return known.person
        throw error
      }
    },
  }
}

/** `mfa` among the methods, or what the operator wrote down. An issuer that says nothing has asked for one factor, as far as anybody knows. */
function saysSeveralFactors(claims: JWTPayload, { multiFactor }: OutsideIssuer): boolean {
  const methods = z.array(z.unknown()).safeParse(claims['amr']).data ?? []
  if (methods.includes('mfa')) return true
  const said = multiFactor && z.string().safeParse(claims[multiFactor.claim]).data
  return said !== undefined && multiFactor?.values.includes(said) === true
}

const everything = [...Permission.options, 'self' as const]

/** What the token was given for. One without a scope that the table knows was given for nothing here. */
function delegatedBy(claims: JWTPayload, { scopes, scopeClaim }: OutsideIssuer): Delegated | null {
  if (scopes === undefined) return null
  const known = new Map(Object.entries(scopes))
  const worth = scopesIn(claims[scopeClaim]).flatMap((scope) => known.get(scope) ?? [])
  return new Set(worth.flatMap((one) => (one === '*' ? everything : [one])))
}

function scopesIn(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ')
  return z.array(z.string()).safeParse(claim).data ?? []
}

function provenEmail(claims: Record<string, unknown>): string | null {
  return claims['email_verified'] === true ? (EmailAddress.safeParse(claims['email']).data ?? null) : null
}

function openKeys(jwksUri: string): RemoteJWKSet {
  return createRemoteJWKSet(new URL(jwksUri), {
    timeoutDuration: fetchTimeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: keysLiveMs,
    [customFetch]: async (url, init) => {
      try {
        const response = await fetch(url, init)
        if (response.status !== 200) throw new Error(`The keys of an issuer cannot be had: HTTP ${response.status}`)
        return new Response(await bounded(response), { status: 200, headers: { 'content-type': 'application/json' } })
      } catch (cause) {
        throw new AppError('unavailable', 'The keys of your identity provider cannot be had right now. Try again.', { cause })
      }
    },
  })
}

async function bounded(response: Response): Promise<Buffer<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body ?? []) {
    bytes += piece.length
    if (bytes > largestJwksBytes) throw new Error(`The keys of an issuer are longer than ${largestJwksBytes} bytes.`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
