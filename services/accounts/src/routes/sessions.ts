import { Id, Timestamp } from '@parley/contracts'
import { AppError, type Caller } from '@parley/runtime'
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { type App, route } from '../app.ts'
import { commitForAll, commitIn, memberActor } from '../as-installation.ts'
import { requireRecentProof, TokenInput } from '../credentials.ts'
import { findMember } from '../db/members.ts'
import { findOrganization } from '../db/organizations.ts'
import {
  endSessions,
  insertRefreshToken,
  listSessions,
  lockRefreshToken,
  lockSession,
  type Session,
  touchSession,
  useRefreshToken,
  type WhichSessions,
} from '../db/sessions.ts'
import { findUser, updateUser } from '../db/users.ts'
import { tellSecurityChange } from '../links.ts'
import { personOf } from '../manager.ts'
import { Tokens, tokensOf } from '../open-session.ts'
import { deviceName } from '../rules/device.ts'
import { decideRefresh } from '../rules/refresh.ts'
import { secureAccount } from '../steps/secure-account.ts'
import { hashToken, successorOf } from '../tokens.ts'

const idleMsOf = (app: App) => app.config.ACCOUNTS_IDLE_DAYS * 86_400_000
/** In the words of every service. */
const closed = () => new AppError('forbidden', 'This organization is closed.', { details: { reason: 'organization_closed' } })
export const over = () => new AppError('unauthenticated', 'This session is over. Sign in again.')

export const refresh = route({
  method: 'POST',
  path: '/v1/auth/refresh',
  summary: 'Change a refresh token for the next one and an access token. A token that comes a second time ends the session.',
  scope: 'public',
  perMinute: 300,
  refuses: { unauthenticated: 'This session is over. Sign in again.' },
  body: z.strictObject({ refreshToken: TokenInput }),
  reply: Tokens,
  async run({ body, ...call }) {
    const { app, from } = call
    const action = 'POST /v1/auth/refresh'
    const outcome = await commitForAll(call, { action }, async (tx, tools) => {
      const now = app.now()
      const hash = hashToken(body.refreshToken)
      const found = await lockRefreshToken(tx, hash)
      if (found === undefined) return undefined
      const { token, session } = found
      const { sessionId, userId } = session
      const user = await findUser(tx, userId)
      if (user === undefined || user.status !== 'active') return undefined
      switch (decideRefresh({ usedAt: token.usedAt, session }, { idleMs: idleMsOf(app) }, now)) {
        case 'refuse':
          return undefined
        case 'revoke':
          await endSessions(tx, tools, userId, { only: sessionId }, { reason: 'token_reused', at: now })
          await tellSecurityChange(app, tx, tools, user, 'token_reused')
          tools.audit({
            resourceType: 'session',
            resourceId: sessionId,
            before: { endedAt: null },
            after: { endedAt: now, endReason: 'token_reused', userId },
          })
          return undefined
        case 'repeat':
          if (token.successorNonce === null) return undefined
          return { session, next: successorOf(body.refreshToken, token.successorNonce) }
        case 'rotate': {
          const nonce = randomBytes(32)
          const next = successorOf(body.refreshToken, nonce)
          await useRefreshToken(tx, hash, nonce, now)
          await insertRefreshToken(tx, sessionId, hashToken(next), now)
          const { actingFor } = session
          await touchSession(tx, sessionId, { at: now, ip: from.ip, userAgent: from.userAgent, actingFor })
          await updateUser(tx, userId, { lastActivityAt: now })
          return { session, next }
        }
      }
    })
    if (outcome === undefined) throw over()
    return tokensOf(app, await stillMember(app, outcome.session), outcome.next)
  },
})

/** An access token names no organization that its owner has left; the services would refuse it anyway. */
async function stillMember(app: App, session: Session): Promise<Session> {
  const { actingFor, userId } = session
  if (actingFor === null) return session
  const member = await app.database.read(actingFor, (tx) => findMember(tx, actingFor, userId))
  return member?.status === 'active' ? session : { ...session, actingFor: null }
}

export const switchOrganization = route({
  method: 'POST',
  path: '/v1/auth/switch-organization',
  summary: 'Go on in another organization that you are a member of: an access token for it.',
  scope: 'self',
  refuses: { not_found: 'You are not a member of an organization with that id.' },
  body: z.strictObject({ organizationId: Id }),
  reply: Tokens.omit({ refreshToken: true }),
  async run({ body: { organizationId }, ...call }) {
    const { app, caller, from } = call
    const userId = personOf(caller)
    const sessionId = sessionOf(caller)
    const what = { organizationId, action: 'POST /v1/auth/switch-organization', actor: memberActor(userId) }
    const session = await commitIn(call, what, async (tx, tools) => {
      const member = await findMember(tx, organizationId, userId)
      // Not "forbidden": whether there is such an organization is nobody's business who is not in it.
      if (member?.status !== 'active') throw new AppError('not_found', 'You are not a member of an organization with that id.')
      if ((await findOrganization(tx, organizationId))?.status === 'inactive') throw closed()
      const before = await lockSession(tx, sessionId)
      if (before === undefined || before.endedAt !== null || before.userId !== userId) throw over()
      const at = app.now()
      await touchSession(tx, sessionId, { at, ip: from.ip, userAgent: from.userAgent, actingFor: organizationId })
      await updateUser(tx, userId, { lastMemberOf: organizationId, lastActivityAt: at })
      tools.audit({
        resourceType: 'session',
        resourceId: sessionId,
        before: { organizationId: before.actingFor },
        after: { organizationId },
      })
      return { ...before, actingFor: organizationId }
    })
    const { refreshToken: _, ...tokens } = await tokensOf(app, session, '')
    return tokens
  },
})

export const signOut = route({
  method: 'POST',
  path: '/v1/auth/sign-out',
  summary: 'End this session: its refresh token at once, its access tokens within seconds.',
  scope: 'self',
  reply: z.object({ sessionsEnded: z.int() }),
  async run(call) {
    const only = sessionOf(call.caller)
    return end(call, 'POST /v1/auth/sign-out', { only }, 'signed_out')
  },
})

const SessionView = z.object({
  sessionId: Id,
  device: z.string(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  method: z.enum(['password', 'magic_link', 'verification', 'outside']),
  organizationId: Id.nullable(),
  createdAt: Timestamp,
  /** To about ten minutes: when its tokens were last renewed. */
  lastUsedAt: Timestamp,
  expiresAt: Timestamp,
  /** It is the one that asks. */
  current: z.boolean(),
})

export const getSessions = route({
  method: 'GET',
  path: '/v1/me/sessions',
  summary: 'Where you are signed in, used last first.',
  scope: 'self',
  query: z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(50) }),
  reply: z.object({ items: z.array(SessionView) }),
  async run({ query: { limit }, caller, app, read }) {
    const userId = personOf(caller)
    const now = app.now()
    const idleSince = new Date(now.getTime() - idleMsOf(app))
    const sessions = await read((tx) => listSessions(tx, userId, { now, idleSince }, limit))
    return { items: sessions.map((session) => sessionView(session, caller)) }
  },
})

export const deleteSession = route({
  method: 'DELETE',
  path: '/v1/me/sessions/:id',
  summary:
    'End one of your sessions; another one than this only within ten minutes of a sign-in or of proving again who you are.',
  scope: 'self',
  refuses: { not_found: 'You have no open session with that id.' },
  params: z.strictObject({ id: Id }),
  reply: z.object({ sessionsEnded: z.int() }),
  async run({ params: { id }, ...call }) {
    if (id !== call.caller.sessionId) requireRecentProof(call.app, call.caller)
    const ended = await end(call, 'DELETE /v1/me/sessions/:id', { only: id }, 'revoked')
    if (ended.sessionsEnded === 0) throw new AppError('not_found', 'You have no open session with that id.')
    return ended
  },
})

export const revokeOtherSessions = route({
  method: 'POST',
  path: '/v1/me/sessions/revoke-others',
  summary: 'End all of your sessions but this one, within ten minutes of a sign-in or of proving again who you are.',
  scope: 'self',
  reply: z.object({ sessionsEnded: z.int() }),
  async run(call) {
    const { app, caller } = call
    requireRecentProof(app, caller)
    const userId = personOf(caller)
    return commitForAll(call, { action: 'POST /v1/me/sessions/revoke-others' }, async (tx, tools) => {
      const ended = await secureAccount(tx, tools, userId, { except: caller.sessionId, reason: 'revoked', at: app.now() })
      return { sessionsEnded: ended.length }
    })
  },
})

async function end(
  call: Parameters<typeof commitForAll>[0],
  action: string,
  which: WhichSessions,
  reason: 'signed_out' | 'revoked',
): Promise<{ sessionsEnded: number }> {
  const { app, caller } = call
  const userId = personOf(caller)
  return commitForAll(call, { action }, async (tx, tools) => {
    const at = app.now()
    const ended = await endSessions(tx, tools, userId, which, { reason, at })
    for (const sessionId of ended) {
      tools.audit({
        resourceType: 'session',
        resourceId: sessionId,
        before: { endedAt: null },
        after: { endedAt: at, endReason: reason, userId },
      })
    }
    return { sessionsEnded: ended.length }
  })
}

/** Tokens of outside issuers have no session here. */
export function sessionOf(caller: Caller): string {
  if (caller.sessionId === null) throw new AppError('forbidden', 'You are signed in elsewhere: there is no session of ours.')
  return caller.sessionId
}

function sessionView(session: Session, caller: Caller): z.infer<typeof SessionView> {
  const { sessionId, ip, userAgent, method, actingFor } = session
  return {
    sessionId,
    device: deviceName(userAgent),
    ip,
    userAgent,
    method,
    organizationId: actingFor,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    current: sessionId === caller.sessionId,
  }
}
