import {
  keyChanged,
  memberChanged,
  memberJoined,
  memberRemoved,
  organizationCreated,
  organizationUpdated,
  sessionRevoked,
  signingKeyChanged,
} from '@parley/contracts'
import { CompiledQuery } from 'kysely'
import { releaseHeldStatement } from '../held-jobs.ts'
import { type Handler, kit } from '../types.ts'
import { saveKey, saveMember, saveOrganization, saveRevokedSession, saveSigningKey } from './projection.ts'

/** Every service hears these, whatever else it hears: they are not in its own list, because nobody writes them per service. */
export const identityEvents = [
  organizationCreated,
  organizationUpdated,
  memberJoined,
  memberChanged,
  memberRemoved,
  keyChanged,
  signingKeyChanged,
  sessionRevoked,
] as const

/** Told, inside the commit, what will be another than what is remembered. */
export interface Changed {
  organization(organizationId: string): void
  member(organizationId: string, userId: string): void
  key(organizationId: string, keyId: string): void
  signingKey(kid: string): void
  session(sessionId: string): void
}

/** Keeps a service's own knowledge of who may call it. Each handler is one upsert that an older revision does not pass. */
export function identityHandlers(serviceName: string, changed: Changed): readonly Handler<unknown, never, never>[] {
  const { on } = kit<unknown, never>()
  const release = releaseHeldStatement(serviceName)
  const know = (name: string, event: typeof memberJoined) =>
    on(name, event, async ({ event: { organizationId, data }, tx }) => {
      await saveMember(tx, organizationId, data)
      changed.member(organizationId, data.userId)
    })
  const knowOrganization = (name: string, event: typeof organizationCreated) =>
    on(name, event, async ({ event: { organizationId, data }, tx }) => {
      await saveOrganization(tx, organizationId, data)
      changed.organization(organizationId)
      // Whether it is open says the row, which a newer event may have changed already.
      if (data.status !== 'inactive') await tx.executeQuery(CompiledQuery.raw(release, [organizationId]))
    })
  return [
    knowOrganization('know-organization', organizationCreated),
    knowOrganization('know-changed-organization', organizationUpdated),
    know('know-member', memberJoined),
    know('know-changed-member', memberChanged),
    know('know-removed-member', memberRemoved),
    on('know-key', keyChanged, async ({ event: { organizationId, data }, tx }) => {
      await saveKey(tx, organizationId, data)
      changed.key(organizationId, data.keyId)
    }),
    on('know-signing-key', signingKeyChanged, async ({ event: { data }, tx }) => {
      await saveSigningKey(tx, data)
      changed.signingKey(data.kid)
    }),
    on('know-ended-session', sessionRevoked, async ({ event: { data }, tx }) => {
      await saveRevokedSession(tx, data.sessionId, data.forgetAfter)
      changed.session(data.sessionId)
    }),
  ] as unknown as readonly Handler<unknown, never, never>[]
}
