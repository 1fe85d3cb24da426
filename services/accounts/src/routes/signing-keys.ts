import { installationId } from '@parley/contracts'
import type { FastifyInstance } from 'fastify'
import type { App } from '../app.ts'
import { trustedSigningKeys } from '../db/signing-keys.ts'

/**
 * GET /.well-known/jwks.json (RFC 7517): the keys of our access tokens, for whoever wants to verify them outside. Not a route, because
 * it is the one answer here that may be kept by others: five minutes, a day less than a new key waits before it signs.
 */
export function jwksDoor(fastify: FastifyInstance, app: App): void {
  fastify.get('/.well-known/jwks.json', { config: { rateLimit: { max: 300, timeWindow: 60_000 } } }, async (_request, reply) => {
    const keys = await app.database.read(installationId, (tx) => trustedSigningKeys(tx, app.now()))
    void reply.header('cache-control', 'public, max-age=300')
    return { keys: keys.map(({ kid, x }) => ({ kty: 'OKP', crv: 'Ed25519', use: 'sig', alg: 'EdDSA', kid, x })) }
  })
}
