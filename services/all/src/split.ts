import { relayRole, roleOf } from '@parley/runtime'
import { type Door, openDoor } from './door.ts'
import type { Environment } from './environment.ts'
import type { LogSink } from './log-sink.ts'
import type { AnyService } from './services.ts'
import { type Replica, startSupervisor, type Supervisor } from './supervisor.ts'

export interface SplitOptions {
  services: readonly AnyService[]
  /** As in production; DATABASE_URL, RELAY_DATABASE_URL and ports are added per process. */
  environment: Environment
  /** Connection string of a role. */
  databaseUrl(role: string): string
  /** A service's login at the broker; empty when that knows no logins of ours. */
  natsLogin?(service: string): Environment
  sink: LogSink
  /** Processes of each service; default two of inbox and agents, one of every other. */
  replicas?: Readonly<Record<string, number>>
  host?: string
  port?: number
  onDeath?(replica: Replica, how: string): void
}

export interface Split {
  /** Where the door listens. */
  url: string
  door: Door
  supervisor: Supervisor
  /** The door first, then the processes. */
  stop(): Promise<void>
}

const usualReplicas: Readonly<Record<string, number>> = { inbox: 2, agents: 2 }

/** The services as real processes behind one door, as in production. Rejects, with nothing left running, when one does not come up. */
export async function startSplit(options: SplitOptions): Promise<Split> {
  const { services, databaseUrl } = options
  const supervisor = await startSupervisor({
    plan: services.map(({ name }) => ({ service: name, replicas: options.replicas?.[name] ?? usualReplicas[name] ?? 1 })),
    environmentOf: (service) => ({
      ...options.environment,
      ...options.natsLogin?.(service),
      // The door stands in front: the caller's address is the one it reports.
      TRUST_PROXY: '127.0.0.1/32',
      DATABASE_URL: databaseUrl(roleOf(service)),
      RELAY_DATABASE_URL: databaseUrl(relayRole),
    }),
    sink: options.sink,
    ...(options.onDeath ? { onDeath: options.onDeath } : {}),
  })
  try {
    const door = await openDoor({ services, supervisor, host: options.host ?? '127.0.0.1', port: options.port ?? 0 })
    return {
      url: door.url,
      door,
      supervisor,
      async stop() {
        await door.close()
        await supervisor.stop()
      },
    }
  } catch (error) {
    await supervisor.stop()
    throw error
  }
}
