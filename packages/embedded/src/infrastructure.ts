import { join } from 'node:path'
import { type Nats, startNats } from './nats.ts'
import { findNatsServer } from './nats-binary.ts'
import { type Log, type Postgres, startPostgres } from './postgres.ts'
import { startBoth, stopAll } from './together.ts'

export type InfrastructureOptions = {
  /** Holds pg/ and nats/ when the embedded servers are used. */
  folder: string
  /** The logins of the embedded nats-server; servers that are given have their own. */
  natsAccounts?: string | undefined
  log?: Log | undefined
}

export type Infrastructure = {
  kind: 'given' | 'testcontainers' | 'embedded'
  /** postgres://… of a role that may create roles and databases. */
  postgresUrl: string
  natsUrl: string
  /** Stops what was started here; given servers are left alone. */
  stop(): Promise<void>
  /** The embedded servers, to kill and restart them in tests. */
  postgres?: Postgres
  nats?: Nats
}

/**
 * Postgres and NATS by the environment: given (PARLEY_POSTGRES_ADMIN_URL and PARLEY_NATS_URL), in containers
 * (PARLEY_TEST_POSTGRES_IMAGE and PARLEY_TEST_NATS_IMAGE), or embedded, which needs nothing but this package.
 */
export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const given = bothOrNone('PARLEY_POSTGRES_ADMIN_URL', 'PARLEY_NATS_URL')
  if (given) return { kind: 'given', postgresUrl: given[0], natsUrl: given[1], stop: async () => undefined }

  const images = bothOrNone('PARLEY_TEST_POSTGRES_IMAGE', 'PARLEY_TEST_NATS_IMAGE')
  if (images) {
    const { startContainers } = await import('./containers.ts') // Loaded only here: it brings a whole Docker client.
    return { kind: 'testcontainers', ...(await startContainers(images[0], images[1])) }
  }
  return startEmbedded(options)
}

/** The embedded servers, whatever the environment says. */
export async function startEmbedded({ folder, natsAccounts, log }: InfrastructureOptions): Promise<Infrastructure> {
  const binary = await findNatsServer({ log })
  const [postgres, nats] = await startBoth(
    startPostgres({ dataFolder: join(folder, 'pg'), log }),
    startNats({ storeFolder: join(folder, 'nats'), binary, accounts: natsAccounts, log }),
  )
  const stop = () => stopAll(nats, postgres)
  return { kind: 'embedded', postgresUrl: postgres.url, natsUrl: nats.url, stop, postgres, nats }
}

function bothOrNone(first: string, second: string): [string, string] | undefined {
  const values = [process.env[first], process.env[second]] as const
  if (values[0] && values[1]) return [values[0], values[1]]
  if (!values[0] && !values[1]) return undefined
  throw new Error(`${values[0] ? second : first} is missing: ${first} and ${second} go together.`)
}
