import type { StoredKey } from '../auth.ts'
import type { Bus } from '../bus.ts'
import type { Database } from '../db.ts'
import type { Hearing } from '../lane-hearing.ts'
import type { Logger } from '../log.ts'
import type { Authenticate, Handler } from '../types.ts'
import { createAuthenticator } from './authenticate.ts'
import { openDirectory } from './directory.ts'
import { identityHandlers } from './handlers.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { openOutsideIssuers, type OutsideIssuer, type OutsideIssuers } from './outside.ts'
import { gatherKeyUses, type KeyUses } from './uses.ts'

/** What the services of one process share. */
export interface Guards {
  operatorKeys: readonly StoredKey[]
  issuer: string
  limiter: Limiter
  uses: KeyUses
  outside: OutsideIssuers
  requireTwoFactor: boolean
}

interface GuardSettings {
  PARLEY_API_KEYS: readonly StoredKey[]
  ACCOUNTS_ISSUER: string
  PARLEY_OIDC_ISSUERS: readonly OutsideIssuer[]
  PARLEY_REQUIRE_TWO_FACTOR: boolean
}

/** `now`: milliseconds since 1970. */
export function openGuards(config: GuardSettings, bus: Bus, log: Logger, now: () => number): Guards {
  return {
    operatorKeys: config.PARLEY_API_KEYS,
    issuer: config.ACCOUNTS_ISSUER,
    limiter: createLimiter({ counters: bus.counters, log, now }),
    uses: gatherKeyUses(bus, log, () => new Date(now())),
    outside: openOutsideIssuers(config.PARLEY_OIDC_ISSUERS, bus),
    requireTwoFactor: config.PARLEY_REQUIRE_TWO_FACTOR,
  }
}

/** One service's knowledge of its callers: the handlers that keep it and the look-up that uses it. */
export function openIdentity(options: {
  serviceName: string
  guards: Guards
  database: Database<never>
  hearing: Pick<Hearing, 'ago' | 'look'>
  bus: Bus
  log: Logger
  now(): number
}): {
  handlers: readonly Handler<unknown, never, never>[]
  authenticate: Authenticate
} {
  const { serviceName, guards, database, hearing, bus, log, now } = options
  const directory = openDirectory({ database, hearing, bus })
  return {
    handlers: identityHandlers(serviceName, directory.changed),
    authenticate: createAuthenticator({ ...guards, directory, log, now }),
  }
}
