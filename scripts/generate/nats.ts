import { keeperName } from '../../packages/runtime/src/bus-permissions.ts'
import { busSettings } from '../../packages/runtime/src/bus-settings.ts'
import type { Artifact } from './artifacts.ts'
import type { ServiceShape } from './services.ts'

/** The variable of a nats-server that holds a login's password. */
export const natsPasswordOf = (name: string) => `NATS_PASSWORD_${name.toUpperCase().replaceAll('-', '_')}`

/** The logins of a broker of these services. */
export const natsLogins = (services: readonly { name: string }[]) => [...services.map(({ name }) => name), keeperName]

const head = `# Made by \`npm run generate\` from the service objects; packages/runtime/src/bus-settings.ts says how.
# A login for each service and what it may do (docs/decisions/0013). Passwords are in the server's environment. It reads them as
# settings: one that begins with a digit may be taken for a number.
`

/** What nats.conf includes: a service that states a new event may publish it, or the check fails. */
export function natsFiles(services: readonly ServiceShape[]): Artifact[] {
  const text = head + busSettings(services, { passwordOf: (name) => `$${natsPasswordOf(name)}` })
  return ['infra/nats/accounts.conf', 'k8s/overlays/small/accounts.conf'].map((path) => ({ path, text }))
}
