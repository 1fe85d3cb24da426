import { installationId, keyChanged, memberJoined, organizationCreated, signingKeyChanged } from '@parley/contracts'
import { createKeySecret, createOrganizationKeyId, start, tokenAudience, tokenType } from '@parley/runtime'
import { generateKeyPairSync, randomUUIDv7, sign } from 'node:crypto'
import pg from 'pg'
import { processEnvironment } from '../lib/environment.ts'
import { roleUrl } from '../lib/stage.ts'
import { serveWorker } from '../lib/worker.ts'
import { authService, noteId } from './service.ts'

export interface AuthSettings {
  adminUrl: string
  natsUrl: string
  root: string
  connections: number
}

export interface AuthDoor {
  url: string
  token: string
  key: string
}

/** Counts of the key: as few as the load leaves room for, so that grants are as small as they can be here. */
const limits = { perMinute: 1_500_000, perDay: 100_000_000 }

/** A service that has heard of one organization, one member and one key, as it would from accounts. */
serveWorker<AuthSettings>(async ({ adminUrl, natsUrl, root, connections }) => {
  const running = await start({
    services: [authService as never],
    environment: processEnvironment(natsUrl, root, { DATABASE_POOL: String(connections) }),
    databaseUrl: (role) => roleUrl(adminUrl, role),
  })
  const organizationId = randomUUIDv7()
  const userId = randomUUIDv7()
  const signer = createSigner()
  const keyId = createOrganizationKeyId(organizationId)
  const { key, hash } = createKeySecret(keyId)
  const database = running.services[0]?.database
  if (!database) throw new Error('No service runs.')
  await database.commit({ organizationId: installationId }, async (_tx, { emit }) =>
    emit(signingKeyChanged, { kid: signer.kid, x: signer.x, trustedUntil: null }),
  )
  await database.commit({ organizationId }, async (_tx, { emit }) => {
    emit(organizationCreated, organizationOf(organizationId))
    emit(memberJoined, { userId, role: 'viewer', permissions: [], status: 'active', revision: 1 })
    const scopes = ['messages:read']
    emit(keyChanged, {
      keyId,
      hash,
      previous: null,
      scopes,
      ...limits,
      expiresAt: null,
      makerId: null,
      status: 'active',
      revision: 1,
    })
  })
  await running.settle()
  await plant(adminUrl, [installationId, organizationId])
  const ready: AuthDoor = { url: running.url, token: signer.token(userId, organizationId), key }
  return { ready, close: () => running.stop() }
})

const organizationOf = (organizationId: string) => ({
  organizationId,
  name: 'Benchmark',
  status: 'active' as const,
  timezone: 'UTC',
  locale: 'en',
  currency: 'EUR',
  ai: { enabled: true, modelPreference: null, confidenceThreshold: 0.8, monthlyBudgetMicros: null },
  revision: 1,
})

async function plant(adminUrl: string, organizations: readonly string[]): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  for (const organizationId of organizations)
    await admin.query('insert into auth_bench.notes values ($1, $2, $3)', [organizationId, noteId, 'A note to read.'])
  await admin.end()
}

function createSigner() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  const kid = x.slice(0, 16)
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return {
    kid,
    x,
    /** As accounts signs them: ten minutes, the session and the organization in it. */
    token(sub: string, org: string): string {
      const iat = Math.floor(Date.now() / 1000)
      const times = { iat, exp: iat + 600, auth_time: iat }
      const claims = { iss: 'parley', aud: tokenAudience, sub, org, sid: randomUUIDv7(), jti: randomUUIDv7(), ...times }
      const text = `${part({ alg: 'EdDSA', typ: tokenType, kid })}.${part(claims)}`
      return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
    },
  }
}
