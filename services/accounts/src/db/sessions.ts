import { sessionRevoked } from '@parley/contracts'
import type { CommitTools, Tx } from '@parley/runtime'
import type { Selectable } from 'kysely'
import { accessTokenMs } from '../rules/signing-keys.ts'
import type { EndReason, Sessions, SignInMethod } from './people-types.ts'
import type { DB } from './types.ts'

export type Session = Selectable<Sessions>

export interface NewSession {
  sessionId: string
  userId: string
  actingFor: string | null
  method: SignInMethod
  secondFactor: boolean
  deviceHash: Buffer | null
  ip: string
  userAgent: string | null
  at: Date
  expiresAt: Date
}

export async function insertSession(tx: Tx<DB>, { at, ...fresh }: NewSession): Promise<Session> {
  return tx
    .insertInto('sessions')
    .values({ ...fresh, authenticatedAt: at, lastUsedAt: at })
    .returningAll()
    .executeTakeFirstOrThrow()
}

export async function insertRefreshToken(tx: Tx<DB>, sessionId: string, tokenHash: Buffer, at: Date): Promise<void> {
  await tx.insertInto('refreshTokens').values({ tokenHash, sessionId, createdAt: at }).execute()
}

/** A refresh token with its session, which is locked until the commit: two refreshes at once must not both be the first. */
export async function lockRefreshToken(tx: Tx<DB>, tokenHash: Buffer) {
  const owner = await tx.selectFrom('refreshTokens').select('sessionId').where('tokenHash', '=', tokenHash).executeTakeFirst()
  if (owner === undefined) return undefined
  const session = await lockSession(tx, owner.sessionId)
  // Read only now: whoever held the lock before may have used it.
  const token = await tx.selectFrom('refreshTokens').selectAll().where('tokenHash', '=', tokenHash).executeTakeFirst()
  return session === undefined || token === undefined ? undefined : { token, session }
}

export async function useRefreshToken(tx: Tx<DB>, tokenHash: Buffer, successorNonce: Buffer, at: Date): Promise<void> {
  await tx.updateTable('refreshTokens').set({ usedAt: at, successorNonce }).where('tokenHash', '=', tokenHash).execute()
}

export async function lockSession(tx: Tx<DB>, sessionId: string): Promise<Session | undefined> {
  return tx.selectFrom('sessions').selectAll().where('sessionId', '=', sessionId).forUpdate().executeTakeFirst()
}

export async function findSession(tx: Tx<DB>, sessionId: string): Promise<Session | undefined> {
  return tx.selectFrom('sessions').selectAll().where('sessionId', '=', sessionId).executeTakeFirst()
}

/** The second factor was proved in this session, after it was opened. */
export async function noteSecondFactor(tx: Tx<DB>, userId: string, sessionId: string): Promise<void> {
  await tx
    .updateTable('sessions')
    .set({ secondFactor: true })
    .where('sessionId', '=', sessionId)
    .where('userId', '=', userId)
    .execute()
}

/** No session of theirs counts as one with a second factor any more: there is none. Resolves with the ids of those that did. */
export async function forgetSecondFactor(tx: Tx<DB>, userId: string): Promise<string[]> {
  const did = await tx
    .updateTable('sessions')
    .set({ secondFactor: false })
    .where('userId', '=', userId)
    .where('secondFactor', '=', true)
    .returning('sessionId')
    .execute()
  return did.map(({ sessionId }) => sessionId)
}

/** Notes that a session is used, from where, and for which organization. */
export async function touchSession(
  tx: Tx<DB>,
  sessionId: string,
  use: { at: Date; ip: string; userAgent: string | null; actingFor: string | null },
): Promise<void> {
  const { at, ...rest } = use
  await tx
    .updateTable('sessions')
    .set({ ...rest, lastUsedAt: at })
    .where('sessionId', '=', sessionId)
    .execute()
}

/** The sessions of a person that are open, used last first. */
export async function listSessions(
  tx: Tx<DB>,
  userId: string,
  at: { now: Date; idleSince: Date },
  limit: number,
): Promise<Session[]> {
  return tx
    .selectFrom('sessions')
    .selectAll()
    .where('userId', '=', userId)
    .where('endedAt', 'is', null)
    .where('expiresAt', '>', at.now)
    .where('lastUsedAt', '>', at.idleSince)
    .orderBy('lastUsedAt', 'desc')
    .orderBy('sessionId')
    .limit(limit)
    .execute()
}

/** Which sessions of a person: one, several, all but one, or those that a device had before this one. */
export type WhichSessions =
  | { only: string }
  | { among: readonly string[] }
  | { except: string | null }
  | { device: Buffer; before: string }

/**
 * Ends sessions of a person and tells every service, whose access tokens of them end at once. The commit
 * must be one of the installation. Resolves with the ids of those that were open.
 */
export async function endSessions(
  tx: Tx<DB>,
  tools: CommitTools,
  userId: string,
  which: WhichSessions,
  end: { reason: EndReason; at: Date },
): Promise<string[]> {
  let open = tx
    .updateTable('sessions')
    .set({ endedAt: end.at, endReason: end.reason })
    .where('userId', '=', userId)
    .where('endedAt', 'is', null)
    .where('expiresAt', '>', end.at)
  if ('only' in which) open = open.where('sessionId', '=', which.only)
  else if ('among' in which) open = open.where('sessionId', 'in', [...which.among])
  // Of two sign-ins at once each would end the other: ids are ordered by time, so the later one stays.
  else if ('device' in which) open = open.where('deviceHash', '=', which.device).where('sessionId', '<', which.before)
  else if (which.except !== null) open = open.where('sessionId', '<>', which.except)
  const ended = await open.returning('sessionId').execute()
  // Two minutes for clocks that differ: the last token may have been signed a moment ago.
  const forgetAfter = new Date(end.at.getTime() + accessTokenMs + 120_000).toISOString()
  for (const { sessionId } of ended) tools.emit(sessionRevoked, { sessionId, userId, forgetAfter })
  return ended.map(({ sessionId }) => sessionId)
}

/** Takes away sessions that ended or ran out long ago, with their refresh tokens. */
export async function deleteOldSessions(tx: Tx<DB>, before: Date, limit: number): Promise<number> {
  const gone = await tx
    .deleteFrom('sessions')
    .where('sessionId', 'in', (eb) =>
      eb
        .selectFrom('sessions')
        .select('sessionId')
        .where((or) => or.or([or('endedAt', '<', before), or('expiresAt', '<', before)]))
        .limit(limit),
    )
    .executeTakeFirstOrThrow()
  return Number(gone.numDeletedRows)
}
