import { installationId, type KeyRecord, type Membership, permissionsOf, type Permission, type Scope } from '@parley/contracts'
import { anonymous, opens, opensNow, permissionsIn, readKey, type StoredKey } from '../auth.ts'
import { AppError, describe } from '../errors.ts'
import type { Logger } from '../log.ts'
import { parseOrganizationKeyId } from '../organization-key.ts'
import type { Authenticate, Caller } from '../types.ts'
import type { Directory } from './directory.ts'
import type { Limiter } from './limiter.ts'
import { issuerIn, type OutsideIssuers } from './outside.ts'
import type { OrganizationStanding } from './projection.ts'
import { rateLimitHeaders } from './quota.ts'
import { readHeader, TokenRefused, verifyAccessToken } from './token.ts'
import type { KeyUses } from './uses.ts'
import { rememberTokens, type VerifiedToken } from './verified-tokens.ts'

export interface AuthenticatorOptions {
  operatorKeys: readonly StoredKey[]
  directory: Directory
  limiter: Limiter
  uses: KeyUses
  outside: OutsideIssuers
  /** Whether every organization requires a second factor, whatever it says itself. */
  requireTwoFactor: boolean
  /** `iss` of our own access tokens. */
  issuer: string
  log: Logger
  now?(): number
}

type Reply = Parameters<Authenticate>[2]

/** One text for every reason: which part was wrong is nobody's business who has no right one. */
const nobody = () =>
  new AppError('unauthenticated', 'A valid access token or API key is needed: authorization: Bearer <token or key>.')
const forbidden = (message: string) => new AppError('forbidden', message)

/**
 * Who makes a call and what they may do at this moment: keys of the operator, keys of an organization, access tokens of ours and of
 * the issuers that the operator trusts. What a credential cannot say by itself (is it revoked, what is its owner's role) comes from
 * this service's own tables, at most two seconds old.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  const { directory, log, now = Date.now } = options
  const operatorKeys = new Map(options.operatorKeys.map((key) => [key.keyId, key]))
  const tokens = rememberTokens()

  return async (request, scope, reply, options) => {
    if (scope === 'public') return anonymous
    const header = request.headers['authorization']
    const credential = typeof header === 'string' ? /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(header)?.[1] : undefined
    if (credential === undefined) throw nobody()
    return credential.startsWith('ply_')
      ? callerOfKey(credential, scope, reply, options?.again ?? false)
      : callerOfToken(credential, scope)
  }

  async function callerOfKey(text: string, scope: Scope, reply: Reply, again: boolean): Promise<Caller> {
    const key = readKey(text)
    if (!key) throw nobody()
    const organizationId = parseOrganizationKeyId(key.keyId)
    const caller =
      organizationId === undefined
        ? callerOfOperatorKey(key.keyId, key.secret)
        : await callerOfOrganizationKey(organizationId, key.keyId, key.secret, reply, again)
    if (scope === 'self') throw forbidden('This is for people who are signed in, not for keys.')
    if (!caller.permissions.has(scope as Permission)) throw forbidden(`This key does not allow '${scope}'.`)
    return caller
  }

  function callerOfOperatorKey(keyId: string, secret: string): Caller {
    const stored = operatorKeys.get(keyId)
    if (!opens(keyId, secret, stored?.hash) || !stored) throw nobody()
    return callerWith(stored, { kind: 'operator', id: keyId }, stored.organizationId)
  }

  async function callerOfOrganizationKey(
    organizationId: string,
    keyId: string,
    secret: string,
    reply: Reply,
    again: boolean,
  ): Promise<Caller> {
    const record = await directory.key(organizationId, keyId)
    if (!opensNow(record, keyId, secret, now()) || !record) throw nobody()
    requireOpen(await directory.organization(organizationId))
    const caller = await callerFor(organizationId, keyId, record)
    if (again) return caller
    const { refusedBy, states } = await options.limiter.admit(keyId, record)
    for (const [name, value] of Object.entries(rateLimitHeaders(states))) reply?.header(name, value)
    if (refusedBy) {
      reply?.header('retry-after', String(refusedBy.resetSeconds))
      throw new AppError('too_many_requests', `This key may make ${refusedBy.limit} calls a ${refusedBy.name}.`, {
        details: { retryAfterMs: refusedBy.resetSeconds * 1000 },
      })
    }
    options.uses.note(organizationId, keyId)
    return caller
  }

  /** A key speaks for who made it: while they are no active member it opens nothing, and it may never do more than they may now. */
  async function callerFor(organizationId: string, keyId: string, record: KeyRecord): Promise<Caller> {
    const caller = callerWith(record, { kind: 'key', id: keyId }, organizationId)
    const { makerId = null } = record
    if (makerId === null) return caller
    const maker = await directory.member(organizationId, makerId)
    if (maker?.status !== 'active')
      throw forbidden('Who made this key is no active member any more: another member may adopt it.')
    const theirs = permissionsOfMember(maker)
    return { ...caller, makerId, permissions: new Set([...caller.permissions].filter((permission) => theirs.has(permission))) }
  }

  async function callerOfToken(token: string, scope: Scope): Promise<Caller> {
    const verified = await tokens
      .get(token, now(), () => verify(token))
      .catch((error: unknown) => {
        if (!(error instanceof TokenRefused)) throw error
        log.debug({ err: describe(error) }, 'a token was refused')
        throw nobody()
      })
    const [person, isTrusted] = await Promise.all([userOf(verified, token), mayStillBeUsed(verified)])
    if (!isTrusted || person === undefined) throw nobody()
    // Who has a second factor here is not let in beside it by an issuer that asks for one.
    if (person.hasSecondFactor === true && !verified.secondFactor) throw secondFactorNeededThere()
    const { userId } = person
    const { delegated } = verified
    if (scope === 'self' && delegated?.has('self') === false) throw notDelegated(scope)
    const organizationId = verified.organizationId ?? person.memberOf
    const member = organizationId === null ? undefined : await directory.member(organizationId, userId)
    const isActive = member?.status === 'active'
    if (scope !== 'self') {
      if (organizationId === null) throw forbidden('Choose an organization first: this token is for none.')
      if (!isActive) throw forbidden('You are not a member of this organization.')
    }
    // Asked about only for its members: that it is closed is nobody else's business.
    const organization = isActive && organizationId !== null ? await directory.organization(organizationId) : undefined
    if (scope !== 'self') {
      requireOpen(organization)
      if (lacksSecondFactor(organization, verified)) throw secondFactorNeeded()
    }
    // About themselves they may still ask, as somebody who has chosen no organization: to turn a second factor on, or to go elsewhere.
    const isMember = isActive && isOpen(organization) && !lacksSecondFactor(organization, verified)
    const theirs = isMember ? permissionsOfMember(member) : nothing
    if (scope !== 'self' && !theirs.has(scope as Permission)) throw forbidden(`Your role does not allow '${scope}'.`)
    const permissions = delegated === null ? theirs : new Set([...theirs].filter((permission) => delegated.has(permission)))
    if (scope !== 'self' && !permissions.has(scope as Permission)) throw notDelegated(scope)
    return {
      organizationId: isMember && organizationId !== null ? organizationId : installationId,
      actor: { kind: 'member', id: userId },
      userId,
      sessionId: verified.sessionId,
      permissions,
      authenticatedAt: verified.authenticatedAt,
    }
  }

  function lacksSecondFactor(organization: OrganizationStanding | undefined, token: VerifiedToken): boolean {
    return (options.requireTwoFactor || organization?.requireTwoFactor === true) && !token.secondFactor
  }

  /** The signature, the claims and the issuer of a token that is seen for the first time. */
  async function verify(token: string): Promise<VerifiedToken> {
    const { kid } = readHeader(token)
    const issuer = issuerIn(token)
    if (issuer !== options.issuer) return options.outside.verify(token, issuer, now())
    const key = await directory.signingKey(kid)
    if (!key) throw new TokenRefused('its key is unknown')
    const claims = await verifyAccessToken(token, { issuer, x: key.x, nowMs: now() })
    return {
      kid,
      subject: { userId: claims.sub },
      organizationId: claims.org ?? null,
      sessionId: claims.sid ?? null,
      authenticatedAt: claims.auth_time * 1000,
      secondFactor: claims.mfa === true,
      delegated: null,
      expiresAtMs: claims.exp * 1000,
    }
  }

  /** The person, and their organization where the token names none. */
  async function userOf(
    { subject }: VerifiedToken,
    token: string,
  ): Promise<{ userId: string; memberOf: string | null; hasSecondFactor?: boolean | undefined } | undefined> {
    return 'userId' in subject ? { userId: subject.userId, memberOf: null } : options.outside.userOf(subject, token)
  }

  async function mayStillBeUsed({ kid, sessionId }: VerifiedToken): Promise<boolean> {
    const [key, isRevoked] = await Promise.all([
      kid === null ? null : directory.signingKey(kid),
      sessionId === null ? false : directory.isSessionRevoked(sessionId),
    ])
    const isTrusted = key === null || (key !== undefined && (key.trustedUntil === null || Date.parse(key.trustedUntil) > now()))
    return isTrusted && !isRevoked
  }
}

/** One that accounts does not know has no members and no keys either: whatever says otherwise is not believed. */
const isOpen = (organization: OrganizationStanding | undefined) =>
  organization !== undefined && organization.status !== 'inactive'

function requireOpen(organization: OrganizationStanding | undefined): void {
  if (isOpen(organization)) return
  throw new AppError('forbidden', 'This organization is closed.', { details: { reason: 'organization_closed' } })
}

const secondFactorNeeded = () =>
  new AppError('forbidden', 'This organization requires two-factor sign-in: turn it on, then sign in with it.', {
    details: { reason: 'second_factor_needed' },
  })

const secondFactorNeededThere = () =>
  new AppError(
    'forbidden',
    'You have two-factor sign-in here: sign in with it, or with several factors at your identity provider.',
    {
      details: { reason: 'second_factor_needed' },
    },
  )

const notDelegated = (scope: Scope) =>
  new AppError('forbidden', `This token was not given for '${scope}'.`, { details: { reason: 'insufficient_scope' } })

const nothing: ReadonlySet<Permission> = new Set()

/** Worked out once for each record that the directory remembers. */
const ofMembers = new WeakMap<Membership, ReadonlySet<Permission>>()
function permissionsOfMember(member: Membership): ReadonlySet<Permission> {
  const known = ofMembers.get(member) ?? permissionsOf(member.role, member.permissions)
  ofMembers.set(member, known)
  return known
}

const ofKeys = new WeakMap<object, ReadonlySet<Permission>>()
function callerWith(key: { scopes: readonly string[] }, actor: Caller['actor'], organizationId: string): Caller {
  const permissions = ofKeys.get(key) ?? permissionsIn(key.scopes)
  ofKeys.set(key, permissions)
  return { organizationId, actor, userId: null, sessionId: null, permissions, authenticatedAt: null }
}
