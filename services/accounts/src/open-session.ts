import { Id, Role } from '@parley/contracts'
import type { CallOrigin, CommitTools, Tx } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { App } from './app.ts'
import { rememberDevice } from './db/known-devices.ts'
import type { SignInMethod } from './db/people-types.ts'
import { insertRefreshToken, insertSession, type Session } from './db/sessions.ts'
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
  /** Keep it and send it at the next sign-in from this device: others' wrong guesses then do not slow you down. */
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
  const session = await insertSession(tx, {
    sessionId: randomUUIDv7(),
    userId,
    actingFor,
    method,
    secondFactor,
    ip: from.ip,
    userAgent: from.userAgent,
    at,
    expiresAt: new Date(at.getTime() + app.config.ACCOUNTS_SESSION_DAYS * 86_400_000),
  })
  await insertRefreshToken(tx, session.sessionId, hashToken(refreshToken), at)
  await rememberDevice(tx, userId, hashToken(deviceToken), at)
  const user = await noteSignIn(tx, userId, at, actingFor)
  tools.audit({
    resourceType: 'session',
    resourceId: session.sessionId,
    before: null,
    after: { userId, method, device: deviceName(from.userAgent) },
  })
  return { user, session, refreshToken, deviceToken }
}

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
