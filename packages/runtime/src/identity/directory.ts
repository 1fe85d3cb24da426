import { KeyRecord, Membership, OrganizationRecord } from '@parley/contracts'
import { z } from 'zod'
import type { Asks } from '../bus-asks.ts'
import type { Database } from '../db.ts'
import type { Changed } from './handlers.ts'
import * as projection from './projection.ts'
import { type Remembered, remember } from './remembered.ts'

/** What accounts answers; services/accounts/src/answers.ts is the other side. */
export const askOrganization = {
  topic: 'identity.organization',
  question: z.object({ organizationId: z.uuid() }),
  reply: OrganizationRecord.pick({ organizationId: true, status: true, requireTwoFactor: true, revision: true }).nullable(),
} as const
export const askMember = {
  topic: 'identity.member',
  question: z.object({ organizationId: z.uuid(), userId: z.uuid() }),
  reply: Membership.nullable(),
} as const
export const askKey = {
  topic: 'identity.key',
  question: z.object({ organizationId: z.uuid(), keyId: z.string().regex(/^[0-9A-Za-z]{33}$/) }),
  reply: KeyRecord.nullable(),
} as const
export const askSigningKeys = {
  topic: 'identity.signing-keys',
  question: z.object({}),
  reply: z
    .array(z.object({ kid: z.string().max(64), x: z.string().length(43), trustedUntil: z.iso.datetime().nullable() }))
    .max(100),
} as const

/** Who may call a service, as it knows itself: its own tables first, accounts for those it has not heard of. */
export interface Directory {
  organization(organizationId: string): Promise<projection.OrganizationStanding | undefined>
  member(organizationId: string, userId: string): Promise<Membership | undefined>
  key(organizationId: string, keyId: string): Promise<KeyRecord | undefined>
  signingKey(kid: string): Promise<projection.SigningKey | undefined>
  isSessionRevoked(sessionId: string): Promise<boolean>
  /** For the handlers that keep the tables. */
  changed: Changed
}

/** A removal is heard within a second or so; with what is remembered on top it holds everywhere in less than five. */
const rememberMs = 2_000
const mostRemembered = 20_000

/**
 * Its methods reject with an outage when the tables cannot be read, and with `unavailable` for somebody unknown while accounts is
 * away: 503, because "you are nobody" would be a guess.
 */
export function openDirectory({ database, bus }: { database: Database<never>; bus: Asks }): Directory {
  const settings = { most: mostRemembered, ttlMs: rememberMs }
  const organizations: Remembered<projection.OrganizationStanding | undefined> = remember(settings)
  const members: Remembered<Membership | undefined> = remember(settings)
  const keys: Remembered<KeyRecord | undefined> = remember(settings)
  const signingKeys: Remembered<projection.SigningKey | undefined> = remember(settings)
  const sessions: Remembered<boolean> = remember(settings)
  /** One question for all unknown signing keys: whoever makes up a new one for each call asks no more often. */
  const newSigningKeys: Remembered<void> = remember({ ...settings, most: 1 })

  /** Rows without an organization are read and written as nobody's. */
  const nobodys = <T>(work: Parameters<typeof database.transaction<T>>[1]) => database.transaction(null, work)

  async function loadOrganization(organizationId: string): Promise<projection.OrganizationStanding | undefined> {
    const known = await database.read(organizationId, ({ tx }) => projection.findOrganization(tx, organizationId))
    if (known) return known
    const answer = await bus.ask(askOrganization.topic, { organizationId }, askOrganization.reply)
    if (answer) await database.transaction(organizationId, ({ tx }) => projection.saveOrganization(tx, organizationId, answer))
    return answer ?? undefined
  }

  async function loadMember(organizationId: string, userId: string): Promise<Membership | undefined> {
    const known = await database.read(organizationId, ({ tx }) => projection.findMember(tx, organizationId, userId))
    if (known) return known
    const answer = await bus.ask(askMember.topic, { organizationId, userId }, askMember.reply)
    if (answer) await database.transaction(organizationId, ({ tx }) => projection.saveMember(tx, organizationId, answer))
    return answer ?? undefined
  }

  async function loadKey(organizationId: string, keyId: string): Promise<KeyRecord | undefined> {
    const known = await database.read(organizationId, ({ tx }) => projection.findKey(tx, organizationId, keyId))
    if (known?.makerId !== undefined) return known
    const answer = await bus.ask(askKey.topic, { organizationId, keyId }, askKey.reply)
    if (answer) await database.transaction(organizationId, ({ tx }) => projection.saveKey(tx, organizationId, answer))
    return answer ?? undefined
  }

  async function loadSigningKey(kid: string): Promise<projection.SigningKey | undefined> {
    const known = await nobodys(({ tx }) => projection.findSigningKey(tx, kid))
    if (known) return known
    await newSigningKeys.get('all', async () => {
      const answer = await bus.ask(askSigningKeys.topic, {}, askSigningKeys.reply)
      await nobodys(async ({ tx }) => {
        for (const key of answer) await projection.saveSigningKey(tx, key)
      })
    })
    return nobodys(({ tx }) => projection.findSigningKey(tx, kid))
  }

  const pair = (organizationId: string, id: string) => `${organizationId} ${id}`
  return {
    organization: (organizationId) => organizations.get(organizationId, () => loadOrganization(organizationId)),
    member: (organizationId, userId) => members.get(pair(organizationId, userId), () => loadMember(organizationId, userId)),
    key: (organizationId, keyId) => keys.get(pair(organizationId, keyId), () => loadKey(organizationId, keyId)),
    signingKey: (kid) => signingKeys.get(kid, () => loadSigningKey(kid)),
    isSessionRevoked: (sessionId) =>
      sessions.get(sessionId, () => nobodys(({ tx }) => projection.isSessionRevoked(tx, sessionId))),
    changed: {
      organization: (organizationId) => organizations.changed(organizationId),
      member: (organizationId, userId) => members.changed(pair(organizationId, userId)),
      key: (organizationId, keyId) => keys.changed(pair(organizationId, keyId)),
      signingKey: (kid) => signingKeys.changed(kid),
      session: (sessionId) => sessions.changed(sessionId),
    },
  }
}
