import type { CommitTools, Tx } from '@parley/runtime'
import { dropMailRequestsOf } from '../db/mail-requests.ts'
import { spendOneTimeTokens } from '../db/one-time-tokens.ts'
import type { EndReason } from '../db/people-types.ts'
import { endSessions } from '../db/sessions.ts'
import type { DB } from '../db/types.ts'

/** Uses up whatever somebody asked for before and has not used: nothing of it works after a change of how they sign in. */
export async function spendPending(tx: Tx<DB>, userId: string, at: Date): Promise<void> {
  await spendOneTimeTokens(tx, userId, ['magic_link', 'password_reset', 'email_change'], at)
  await dropMailRequestsOf(tx, userId)
}

/**
 * After a change of how somebody signs in (password, second factor, the sessions themselves): whatever was pending is spent, so that nothing asked for
 * before it works after it, and every session but `except` ends, so that each proves again what is asked for now. The commit must be one
 * of the installation. Resolves with the ids of the sessions that were open.
 */
export async function secureAccount(
  tx: Tx<DB>,
  tools: CommitTools,
  userId: string,
  { except, reason, at }: { except: string | null; reason: EndReason; at: Date },
): Promise<string[]> {
  await spendPending(tx, userId, at)
  const ended = await endSessions(tx, tools, userId, { except }, { reason, at })
  for (const id of ended)
    tools.audit({ resourceType: 'session', resourceId: id, before: { endReason: null }, after: { endReason: reason } })
  return ended
}
