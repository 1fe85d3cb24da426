import type { KeyRecord, Membership, OrganizationRecord } from '@parley/contracts'
import { exportJWK, generateKeyPair, SignJWT, type JWTHeaderParameters } from 'jose'
import { createHash, randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import { z } from 'zod'
import {
  askKey,
  askKeysUsed,
  askMember,
  askOrganization,
  askOutside,
  askSession,
  askSigningKeys,
  createKeySecret,
  createOrganizationKeyId,
  defineService,
  kit,
} from '../src/index.ts'

/** What the stand-in for accounts knows, and what it was asked. */
export interface RegistryApp {
  /** Those that are not as most: open, and content with one factor. */
  organizations: Map<string, Pick<OrganizationRecord, 'organizationId' | 'status' | 'requireTwoFactor' | 'revision'> | null>
  members: Map<string, Membership>
  keys: Map<string, KeyRecord>
  signingKeys: { kid: string; x: string; trustedUntil: string | null }[]
  outside: Map<string, { userId: string; memberOf: string | null; hasSecondFactor?: boolean }>
  /** Sessions that ended; all others go on. */
  endedSessions: Set<string>
  used: z.infer<typeof askKeysUsed.question>['uses']
  asked: string[]
}

const { route } = kit<RegistryApp, never>()
const settings = z.object({})

const whoAmI = route({
  method: 'GET',
  path: '/v1/who',
  summary: 'Who the caller is.',
  scope: 'self',
  reply: z.any(),
  run: async ({ caller }) => ({ ...caller, permissions: [...caller.permissions] }),
})
const openHours = route({
  method: 'GET',
  path: '/v1/hours',
  summary: 'Anybody may know.',
  scope: 'public',
  reply: z.any(),
  run: async ({ caller }) => ({ ...caller, permissions: [...caller.permissions] }),
})

/** Answers for identities as accounts does, out of maps that a test fills. */
export const registry = defineService<RegistryApp, never, object>({
  name: 'registry',
  summary: 'Knows people, for tests.',
  config: settings,
  routes: [whoAmI, openHours],
  migrations: [],
  async open({ answer, proveOutside }) {
    const app: RegistryApp = {
      organizations: new Map(),
      members: new Map(),
      keys: new Map(),
      signingKeys: [],
      outside: new Map(),
      endedSessions: new Set(),
      used: [],
      asked: [],
    }
    answer(askOrganization.topic, askOrganization.question, async ({ organizationId }) => {
      app.asked.push(`organization ${organizationId}`)
      const known = app.organizations.get(organizationId)
      return known === undefined ? { organizationId, status: 'active' as const, revision: 1 } : known
    })
    answer(askMember.topic, askMember.question, async ({ organizationId, userId }) => {
      app.asked.push(`member ${userId}`)
      return app.members.get(`${organizationId} ${userId}`)
    })
    answer(askKey.topic, askKey.question, async ({ keyId }) => {
      app.asked.push(`key ${keyId}`)
      return app.keys.get(keyId)
    })
    answer(askSigningKeys.topic, askSigningKeys.question, async () => {
      app.asked.push('signing-keys')
      return app.signingKeys
    })
    answer(askSession.topic, askSession.question, async ({ sessionId }) => {
      app.asked.push(`session ${sessionId}`)
      return { isEnded: app.endedSessions.has(sessionId) }
    })
    answer(askOutside.topic, askOutside.question, async ({ token }) => {
      const { issuer, subject, email } = await proveOutside(token)
      app.asked.push(`outside ${subject}`)
      return app.outside.get(`${issuer} ${subject}`) ?? (email === null ? undefined : app.outside.get(email))
    })
    answer(askKeysUsed.topic, askKeysUsed.question, async ({ uses }) => {
      app.used.push(...uses)
    })
    return app
  },
})

/** A second service, which knows its callers from tables of its own. */
export const desk = defineService({
  name: 'desk',
  summary: 'Another service, for tests.',
  config: settings,
  routes: [
    kit<object, never>().route({
      method: 'GET',
      path: '/v1/desk',
      summary: 'What a viewer may see.',
      scope: 'messages:read',
      reply: z.any(),
      run: async ({ caller, read }) =>
        read(async (tx) => {
          await sql`select 1`.execute(tx)
          return { organizationId: caller.organizationId, actor: caller.actor }
        }),
    }),
  ],
  migrations: [],
  open: async () => ({}),
})

export interface Signer {
  kid: string
  x: string
  /** An access token; a claim that is undefined is left out. */
  sign(claims?: Record<string, unknown>, header?: Partial<JWTHeaderParameters>): Promise<string>
}

export const nowSeconds = () => Math.floor(Date.now() / 1000)

export async function createSigner(userId: string, organizationId: string | undefined): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const { x } = await exportJWK(publicKey)
  if (x === undefined) throw new Error('An Ed25519 key has a point.')
  const kid = createHash('sha256').update(x).digest('hex').slice(0, 16)
  return {
    kid,
    x,
    sign(claims = {}, header = {}) {
      const now = nowSeconds()
      const whole = {
        iss: 'parley',
        aud: 'parley',
        sub: userId,
        org: organizationId,
        sid: randomUUIDv7(),
        iat: now,
        exp: now + 600,
        auth_time: now,
        jti: randomUUIDv7(),
        ...claims,
      }
      const present = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined))
      return new SignJWT(present).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid, ...header }).sign(privateKey)
    },
  }
}

/** An API key of an organization and its record. */
export function createTestKey(organizationId: string, more: Partial<KeyRecord> = {}): { key: string; record: KeyRecord } {
  const keyId = createOrganizationKeyId(organizationId)
  const { key, hash } = createKeySecret(keyId)
  const record: KeyRecord = {
    keyId,
    hash,
    previous: null,
    scopes: ['messages:read'],
    perMinute: null,
    perDay: null,
    expiresAt: null,
    makerId: null,
    status: 'active',
    revision: 1,
    ...more,
  }
  return { key, record }
}
