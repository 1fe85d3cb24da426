import { installationId, KeyRecord, laneOf, Membership, OrganizationRecord } from '@parley/contracts'
import { z } from 'zod'
import type { Asks } from '../bus-asks.ts'
import type { Database } from '../db.ts'
import { AppError } from '../errors.ts'
import type { Hearing } from '../lane-hearing.ts'
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
export const askSession = {
  topic: 'identity.session',
  question: z.object({ sessionId: z.uuid() }),
  reply: z.object({ isEnded: z.boolean() }),
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
/** With what is remembered, four seconds: a lane that was last heard longer ago may keep a removal from us, so accounts is asked. */
const heardMs = 2_000
/** Accounts may be away, and removes nobody then; unheard for so long, what we know may have been undone before it went. */
const heardAtLeastMs = 15_000

/**
 * Its methods reject with an outage when the tables cannot be read, and with `unavailable` while accounts is away for somebody unknown
 * ("you are nobody" would be a guess) or once events have not been heard for 15 s ("you still may" would be one as well).
 */
export function openDirectory({ database, hearing, bus }: DirectoryOptions): Directory {
  const settings = { most: mostRemembered, ttlMs: rememberMs }
  const organizations: Remembered<projection.OrganizationStanding | undefined> = remember(settings)
  const members: Remembered<Membership | undefined> = remember(settings)
  const keys: Remembered<KeyRecord | undefined> = remember(settings)
  const signingKeys: Remembered<projection.SigningKey | undefined> = remember(settings)
  const sessions: Remembered<boolean> = remember(settings)
  /** One question for all signing keys: whoever makes up a new one for each call asks no more often. */
  const trustedKeys: Remembered<projection.SigningKey[]> = remember({ ...settings, most: 1 })

  /** Rows without an organization are read and written as nobody's. */
  const nobodys = <T>(work: Parameters<typeof database.transaction<T>>[1]) => database.transaction(null, work)

  /**
   * What our tables say while they are current, accounts otherwise. Who cannot ask goes by the tables as long as they were lately; `lane`
   * is the one that their events come in.
   */
  async function current<T>(lane: number, known: T | undefined, ask: () => Promise<T | undefined>): Promise<T | undefined> {
    if (known !== undefined && hearing.ago(lane) <= heardMs) return known
    try {
      return await ask()
    } catch (error) {
      if (known === undefined || !isUnavailable(error)) throw error
      if (hearing.ago(lane) > heardAtLeastMs) await hearing.look()
      if (hearing.ago(lane) > heardAtLeastMs) throw error
      return known
    }
  }

  async function loadOrganization(organizationId: string): Promise<projection.OrganizationStanding | undefined> {
    const known = await database.read(organizationId, ({ tx }) => projection.findOrganization(tx, organizationId))
    return current(laneOf(organizationId, organizationId), known, async () => {
      const answer = await bus.ask(askOrganization.topic, { organizationId }, askOrganization.reply)
      if (answer && answer.revision !== known?.revision)
        await database.transaction(organizationId, ({ tx }) => projection.saveOrganization(tx, organizationId, answer))
      return newer(known, answer)
    })
  }

  async function loadMember(organizationId: string, userId: string): Promise<Membership | undefined> {
    const known = await database.read(organizationId, ({ tx }) => projection.findMember(tx, organizationId, userId))
    return current(laneOf(organizationId, userId), known, async () => {
      const answer = await bus.ask(askMember.topic, { organizationId, userId }, askMember.reply)
      if (answer && answer.revision !== known?.revision)
        await database.transaction(organizationId, ({ tx }) => projection.saveMember(tx, organizationId, answer))
      return newer(known, answer)
    })
  }

  async function loadKey(organizationId: string, keyId: string): Promise<KeyRecord | undefined> {
    const found = await database.read(organizationId, ({ tx }) => projection.findKey(tx, organizationId, keyId))
    const known = found?.makerId === undefined ? undefined : found
    return current(laneOf(organizationId, keyId), known, async () => {
      const answer = await bus.ask(askKey.topic, { organizationId, keyId }, askKey.reply)
      if (answer && answer.revision !== known?.revision)
        await database.transaction(organizationId, ({ tx }) => projection.saveKey(tx, organizationId, answer))
      return newer(known, answer)
    })
  }

  async function loadSigningKey(kid: string): Promise<projection.SigningKey | undefined> {
    const known = await nobodys(({ tx }) => projection.findSigningKey(tx, kid))
    return current(laneOf(installationId, kid), known, async () => {
      const trusted = await trustedKeys.get('all', async () => {
        const answer = await bus.ask(askSigningKeys.topic, {}, askSigningKeys.reply)
        await nobodys(async ({ tx }) => {
          for (const key of answer) await projection.saveSigningKey(tx, key)
        })
        return answer
      })
      return trusted.find((key) => key.kid === kid)
    })
  }

  async function loadSession(sessionId: string): Promise<boolean> {
    if (await nobodys(({ tx }) => projection.isSessionRevoked(tx, sessionId))) return true
    // That nothing is known of it is what we know of every session that goes on.
    const isEnded = await current(laneOf(installationId, sessionId), false, async () => {
      return (await bus.ask(askSession.topic, { sessionId }, askSession.reply)).isEnded
    })
    return isEnded ?? true
  }

  const pair = (organizationId: string, id: string) => `${organizationId} ${id}`
  return {
    organization: (organizationId) => organizations.get(organizationId, () => loadOrganization(organizationId)),
    member: (organizationId, userId) => members.get(pair(organizationId, userId), () => loadMember(organizationId, userId)),
    key: (organizationId, keyId) => keys.get(pair(organizationId, keyId), () => loadKey(organizationId, keyId)),
    signingKey: (kid) => signingKeys.get(kid, () => loadSigningKey(kid)),
    isSessionRevoked: (sessionId) => sessions.get(sessionId, () => loadSession(sessionId)),
    changed: {
      organization: (organizationId) => organizations.changed(organizationId),
      member: (organizationId, userId) => members.changed(pair(organizationId, userId)),
      key: (organizationId, keyId) => keys.changed(pair(organizationId, keyId)),
      signingKey: (kid) => signingKeys.changed(kid),
      session: (sessionId) => sessions.changed(sessionId),
    },
  }
}

interface DirectoryOptions {
  database: Database<never>
  hearing: Pick<Hearing, 'ago' | 'look'>
  bus: Pick<Asks, 'ask'>
}

const isUnavailable = (error: unknown) => error instanceof AppError && error.code === 'unavailable'

/** Nothing, when accounts knows nothing of it; what an event told us in the meantime, when the answer was on its way longer. */
function newer<T extends { revision: number }>(known: T | undefined, answer: T | null): T | undefined {
  if (answer === null) return undefined
  return known !== undefined && known.revision > answer.revision ? known : answer
}
