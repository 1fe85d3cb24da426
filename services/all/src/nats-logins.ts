import { busSettings } from '@parley/runtime'
import type { Environment } from './environment.ts'
import type { AnyService } from './services.ts'

/** Who may log in to the embedded broker. */
export interface NatsLogins {
  /** For the server's settings. */
  settings: string
  /** What a process of that name is told of itself. */
  of(name: string): Environment
}

/**
 * A login for each service, the keeper, and all services in one process, with what they may do out of the service objects: what is
 * missing there is found on a laptop, not in the cluster. `passwordOf` gives the same password for a name every time.
 */
export function natsLogins(services: readonly AnyService[], root: string, passwordOf: (name: string) => string): NatsLogins {
  return {
    settings: busSettings(services, { root, together: true, passwordOf: (name) => JSON.stringify(passwordOf(name)) }),
    of: (name) => ({ NATS_USER: name, NATS_PASSWORD: passwordOf(name), NATS_CREDENTIALS_FILE: '' }),
  }
}
