import { installationId } from '@parley/contracts'
import {
  askKey,
  askKeysUsed,
  askMember,
  askOrganization,
  askOutside,
  askSession,
  askSigningKeys,
  type OpenContext,
  type ProveOutside,
  type ServiceDatabase,
  TokenRefused,
  type Tx,
} from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import type { z } from 'zod'
import { findKey, recordOf } from './db/api-keys.ts'
import { addKeyUses, findActivePerson } from './db/identity-answers.ts'
import { findMember, membershipOf } from './db/members.ts'
import { findOrganization, recordOf as organizationRecordOf } from './db/organizations.ts'
import { findOutsideUser, linkOutsideIdentity } from './db/outside-identities.ts'
import { findSession } from './db/sessions.ts'
import { trustedSigningKeys } from './db/signing-keys.ts'
import type { DB } from './db/types.ts'
import { findUserByEmail } from './db/users.ts'
import { listUserOrganizations } from './db/user-organizations.ts'
import { findSettings } from './db/usage-settings.ts'
import { chargedMonth } from './rules/month.ts'

type KeyUse = z.infer<typeof askKeysUsed.question>['uses'][number]

interface AnswersOptions {
  answer: OpenContext<DB, unknown>['answer']
  database: ServiceDatabase<DB>
  proveOutside: ProveOutside
  now(): Date
}

/**
 * What other services ask when they meet somebody they have not heard of; once told, they know it by themselves. Anybody on the bus may
 * ask, so nothing secret is in the answers: hashes of 256 random bits and public keys.
 */
export function answerIdentity({ answer, database, proveOutside, now }: AnswersOptions): void {
  answer(askOrganization.topic, askOrganization.question, async ({ organizationId }) => {
    const organization = await database.read(organizationId, (tx) => findOrganization(tx, organizationId))
    return organization && organizationRecordOf(organization)
  })
  answer(askMember.topic, askMember.question, async ({ organizationId, userId }) => {
    const member = await database.read(organizationId, (tx) => findMember(tx, organizationId, userId))
    return member && membershipOf(member)
  })
  answer(askKey.topic, askKey.question, async ({ organizationId, keyId }) => {
    const key = await database.read(organizationId, (tx) => findKey(tx, organizationId, keyId))
    return key && recordOf(key)
  })
  answer(askSession.topic, askSession.question, async ({ sessionId }) => {
    const session = await database.read(installationId, (tx) => findSession(tx, sessionId))
    // One that is not there was taken away long after its last token expired.
    return { isEnded: session !== undefined && session.endedAt !== null }
  })
  answer(askSigningKeys.topic, askSigningKeys.question, async () => {
    const keys = await database.read(installationId, (tx) => trustedSigningKeys(tx, now()))
    return keys.map(({ kid, x, trustedUntil }) => ({ kid, x, trustedUntil: trustedUntil?.toISOString() ?? null }))
  })
  answer(askKeysUsed.topic, askKeysUsed.question, async ({ uses }) => {
    const byOrganization = Map.groupBy(uses, (use) => use.organizationId)
    const failures: unknown[] = []
    // One after the other, each its own transaction: a report is no reason to hold many rows for long, nor one to miss the others.
    for (const [organizationId, theirs] of byOrganization)
      await database
        .transaction(organizationId, ({ tx }) => countKeyUses(tx, organizationId, theirs, now()))
        .catch((error: unknown) => failures.push(error))
    // Whoever reports says it again: what was counted is known by its id.
    if (failures.length > 0) throw failures[0]
  })
  answer(askOutside.topic, askOutside.question, async ({ token }) => {
    const identity = await proveOutside(token).catch(nobodyIfRefused)
    return identity && findOutsidePerson(database, identity)
  })
}

/** Calls belong to the month of the last of them: a report spans a minute. */
async function countKeyUses(tx: Tx<DB>, organizationId: string, uses: readonly KeyUse[], now: Date): Promise<void> {
  const settings = await findSettings(tx, organizationId)
  const counted = uses.map((use) => ({
    ...use,
    reportId: use.reportId ?? randomUUIDv7(),
    month: chargedMonth(new Date(use.lastUsedAt), now, settings?.timezone ?? 'UTC', settings?.closedThrough ?? null),
  }))
  await addKeyUses(tx, organizationId, counted)
}

/** A token that says nothing names nobody; that an issuer's keys cannot be had is no such verdict. */
function nobodyIfRefused(error: unknown): undefined {
  if (!(error instanceof TokenRefused)) throw error
}

interface OutsideIdentity {
  issuer: string
  subject: string
  email: string | null
}

/** Somebody of another issuer: who they are here already, or the person whose proved address they share. */
async function findOutsidePerson(database: ServiceDatabase<DB>, { issuer, subject, email }: OutsideIdentity) {
  const known = await database.read(installationId, (tx) => findOutsideUser(tx, issuer, subject))
  const userId = known ?? (email === null ? undefined : await linkByEmail(database, { issuer, subject, email }))
  if (userId === undefined) return null
  return database.read(installationId, async (tx) => {
    const person = await findActivePerson(tx, userId)
    if (!person) return null
    return { ...person, memberOf: person.memberOf ?? (await listUserOrganizations(tx, userId))[0] ?? null }
  })
}

function linkByEmail(database: ServiceDatabase<DB>, identity: OutsideIdentity & { email: string }): Promise<string | undefined> {
  const { issuer, subject, email } = identity
  return database.commit({ organizationId: installationId }, async (tx, { audit }) => {
    const user = await findUserByEmail(tx, email)
    // An address that nobody proved here may have been typed by somebody who was waiting for its owner.
    if (!user || user.emailVerifiedAt === null) return undefined
    const userId = await linkOutsideIdentity(tx, issuer, subject, user.userId)
    audit({ resourceType: 'outside_identity', resourceId: userId, before: null, after: { issuer } })
    return userId
  })
}
