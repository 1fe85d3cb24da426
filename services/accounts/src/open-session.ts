import { Id, Role } from '@parley/contracts'
import type { CallOrigin, CommitTools, Tx } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { App } from './app.ts'
import { commitForAll, memberActor, type RouteCall } from './as-installation.ts'
import { rememberDevice } from './db/known-devices.ts'
import type { SignInMethod } from './db/people-types.ts'
import { endSessions, insertRefreshToken, insertSession, lockSession, type NewSession, type Session } from './db/sessions.ts'
import type { DB } from './db/types.ts'
import { noteSignIn, type User } from './db/users.ts'
import { organizationsOf } from './organizations-of.ts'
import { deviceName } from './rules/device.ts'
import { hashToken, newToken } from './tokens.ts'
import { UserView, userView } from './user-view.ts'

export const Tokens = z.object({
  /** For `authorization: Bearer`; there are no cookies, so another site's page cannot make a browser send it (no CSRF). */
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  /** Seconds. */
  expiresIn: z.int(),
  /** Good once, for POST /v1/auth/refresh. */
  refreshToken: z.string(),
  sessionId: Id,
  /** The organization that the access token names; null when there is none. */
  organizationId: Id.nullable(),
})

export const SignedIn = Tokens.extend({
  /** Keep it and send it at the next sign-in from this device: others' wrong guesses then do not slow you down, and this session ends. */
  deviceToken: z.string(),
  user: UserView,
  organizations: z.array(
    z.object({ organizationId: Id, name: z.string(), role: Role, status: z.enum(['active', 'suspended']), closed: z.boolean() }),
  ),
})

export interface Opened {
  user: User
  session: Session
  refreshToken: string
  deviceToken: string
  /** It brought the token of a device, so it may have had a session before. */
  knownDevice: boolean
}

/** Makes a session with its first refresh token, remembers the device and counts the sign-in. */
export async function openSession(
  app: App,
  tx: Tx<DB>,
  tools: CommitTools,
  fresh: {
    userId: string
    method: SignInMethod
    /** Whether a code was taken as well. */
    secondFactor: boolean
    actingFor: string | null
    from: CallOrigin
    deviceToken: string | undefined
  },
): Promise<Opened> {
  const { userId, method, secondFactor, actingFor, from } = fresh
  const at = app.now()
  const [refreshToken, deviceToken] = [newToken(), fresh.deviceToken ?? newToken()]
  const deviceHash = hashToken(deviceToken)
  const session = await beginSession(tx, tools, refreshToken, {
    userId,
    actingFor,
    method,
    secondFactor,
    deviceHash,
    from,
    at,
    expiresAt: new Date(at.getTime() + app.config.ACCOUNTS_SESSION_DAYS * 86_400_000),
  })
  await rememberDevice(tx, userId, deviceHash, at)
  const user = await noteSignIn(tx, userId, at, actingFor)
  return { user, session, refreshToken, deviceToken, knownDevice: fresh.deviceToken !== undefined }
}

/** A row, its first refresh token and its entry in the audit log. */
async function beginSession(
  tx: Tx<DB>,
  tools: CommitTools,
  refreshToken: string,
  { from, ...fresh }: Omit<NewSession, 'sessionId' | 'ip' | 'userAgent'> & { from: CallOrigin },
): Promise<Session> {
  const session = await insertSession(tx, { ...fresh, sessionId: randomUUIDv7(), ip: from.ip, userAgent: from.userAgent })
  await insertRefreshToken(tx, session.sessionId, hashToken(refreshToken), fresh.at)
  tools.audit({
    resourceType: 'session',
    resourceId: session.sessionId,
    before: null,
    after: { userId: fresh.userId, method: fresh.method, device: deviceName(from.userAgent) },
  })
  return session
}

/**
 * Ends what the same person had open on the same device: nobody needs two tokens there, and one that was put there by somebody else is
 * worth nothing from then on (ASVS 5.0, 7.2.4). A commit of its own, because sessions end for the whole installation; when it fails so does
 * the sign-in, and the next one ends both.
 */
export async function endSessionBefore(call: RouteCall, action: string, { session, knownDevice }: Opened): Promise<void> {
  const { userId, sessionId, deviceHash } = session
  if (!knownDevice || deviceHash === null) return
  await commitForAll(call, { action, actor: memberActor(userId) }, async (tx, tools) => {
    const at = call.app.now()
    const ended = await endSessions(tx, tools, userId, { device: deviceHash, before: sessionId }, { reason: 'replaced', at })
    for (const id of ended) tools.audit(replacedBy(id, sessionId))
  })
}

/**
 * A new session in the place of this one, which ends: whoever has a token of it learnt before has nothing any more. It lives no longer than
 * the one before would have. Undefined when that is over. The commit must be one of the installation.
 */
export async function replaceSession(
  app: App,
  tx: Tx<DB>,
  tools: CommitTools,
  before: { sessionId: string; userId: string },
  fresh: { secondFactor: boolean; from: CallOrigin },
): Promise<{ session: Session; refreshToken: string } | undefined> {
  const at = app.now()
  const old = await lockSession(tx, before.sessionId)
  if (old === undefined || old.userId !== before.userId || old.endedAt !== null || old.expiresAt <= at) return undefined
  const refreshToken = newToken()
  const { userId, actingFor, method, deviceHash, expiresAt } = old
  const session = await beginSession(tx, tools, refreshToken, {
    userId,
    actingFor,
    method,
    deviceHash,
    expiresAt,
    at,
    ...fresh,
  })
  await endSessions(tx, tools, userId, { only: old.sessionId }, { reason: 'replaced', at })
  tools.audit(replacedBy(old.sessionId, session.sessionId))
  return { session, refreshToken }
}

const replacedBy = (resourceId: string, sessionId: string) => ({
  resourceType: 'session',
  resourceId,
  before: { endReason: null },
  after: { endReason: 'replaced', replacedBy: sessionId },
})

/** The organization to begin with: the wanted one, the last one, or the first. */
export async function chooseOrganization(app: App, user: User, wanted?: string): Promise<string | null> {
  const active = (await organizationsOf(app.database, user.userId)).filter(({ status, closed }) => status === 'active' && !closed)
  const ids = active.map(({ organizationId }) => organizationId)
  return [wanted, user.lastMemberOf, ids[0]].find((id) => id != null && ids.includes(id)) ?? null
}

/** What whoever signed in is given. */
export async function signedIn(app: App, opened: Opened): Promise<z.infer<typeof SignedIn>> {
  const { user, session, refreshToken, deviceToken } = opened
  return {
    ...(await tokensOf(app, session, refreshToken)),
    deviceToken,
    user: userView(user),
    organizations: await organizationsOf(app.database, user.userId),
  }
}

export async function tokensOf(app: App, session: Session, refreshToken: string): Promise<z.infer<typeof Tokens>> {
  const { sessionId, userId, actingFor, authenticatedAt, secondFactor } = session
  const { accessToken, expiresIn } = await app.accessTokens.sign({
    userId,
    sessionId,
    organizationId: actingFor,
    authenticatedAt,
    secondFactor,
  })
  return { accessToken, tokenType: 'Bearer', expiresIn, refreshToken, sessionId, organizationId: actingFor }
}
