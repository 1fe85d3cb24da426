import { type Actor, installationId } from '@parley/contracts'
import type { CallOrigin, Caller, CommitTools, Tx } from '@parley/runtime'
import type { App } from './app.ts'
import type { DB } from './db/types.ts'

/** A call of a route, as far as a commit in another organization than the caller's must know it. */
export interface RouteCall {
  app: App
  caller: Caller
  from: CallOrigin
  requestId: string
}

/**
 * A commit in `organizationId` for a call whose caller is somewhere else: signing in happens before anybody is anywhere, and sessions end
 * for the whole installation. `actor` is who the call turned out to be.
 */
export function commitIn<T>(
  { app, caller, from, requestId }: RouteCall,
  { organizationId, action, actor = caller.actor }: { organizationId: string; action: string; actor?: Actor },
  work: (tx: Tx<DB>, tools: CommitTools) => Promise<T>,
): Promise<T> {
  const call = { requestId, actor, from, action }
  return app.database.commit({ organizationId, correlationId: requestId, call }, work)
}

/** As `commitIn`, for what belongs to no organization. */
export const commitForAll = <T>(
  call: RouteCall,
  what: { action: string; actor?: Actor },
  work: (tx: Tx<DB>, tools: CommitTools) => Promise<T>,
): Promise<T> => commitIn(call, { organizationId: installationId, ...what }, work)

export const memberActor = (userId: string): Actor => ({ kind: 'member', id: userId })
