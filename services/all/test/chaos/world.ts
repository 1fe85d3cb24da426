import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import {
  type CrashPlace,
  createKey,
  keeperName,
  migrate,
  openKeeper,
  openLog,
  relayRole,
  roleOf,
  type StoredKey,
} from '@parley/runtime'
import { startTcpProxy, type TcpProxy } from '@parley/runtime/testing'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { type Api, openApi } from '../../src/api.ts'
import { type DatabaseAddress, ensureDatabase } from '../../src/database.ts'
import { type Door, openDoor } from '../../src/door.ts'
import type { State } from '../../src/home.ts'
import { openLogSink } from '../../src/log-sink.ts'
import { natsLogins } from '../../src/nats-logins.ts'
import { provisionDemo } from '../../src/provision.ts'
import { allServices } from '../../src/services.ts'
import { type Replica, startSupervisor, type Supervisor } from '../../src/supervisor.ts'
import { answerByRefs } from './refs.ts'
import { type BrokerServer, type DatabaseServer, openBroker, openDatabase } from './servers.ts'

export type ServiceName = 'accounts' | 'ingest' | 'inbox' | 'agents' | 'notifier'
export const serviceNames: readonly ServiceName[] = ['accounts', 'ingest', 'inbox', 'agents', 'notifier']

/** How a service's processes reach the servers; both pass through a proxy that can fail. */
export interface Network {
  broker: TcpProxy
  database: TcpProxy
}

/** A whole Parley as in production (real processes behind one door, real servers), with a handle on everything that can break. */
export interface World {
  folder: string
  url: string
  /** Where the phone's webhooks go. */
  webhook: { url: string; headers: Record<string, string> }
  api: Api
  /** The operator's key, for the organization. */
  operatorKey: string
  /** What every process is told of the operator's keys. */
  operatorKeys: readonly StoredKey[]
  organizationId: string
  channelId: string
  broker: BrokerServer
  database: DatabaseServer
  stream: string
  supervisor: Supervisor
  networks: Readonly<Record<ServiceName, Network>>
  phone: WhapiSimulator
  /** That one, and those of organizations that a scenario brings about; they are closed with the world. */
  phones: WhapiSimulator[]
  model: ModelSimulator
  /** The superuser's address, past the proxies. */
  adminUrl: string
  /** SQL as the superuser, past the proxies and past row-level security. Waits through restarts of the server. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** Processes of the service die at these places from now on: each new process takes the next one. */
  crashAt(service: ServiceName, places: readonly `${CrashPlace}:${number}`[]): void
  /** Places asked for that no process has died at yet. */
  crashesLeft(): string[]
  /** Processes that ended without being asked to, in order. */
  deaths: readonly { service: string; how: string; at: number }[]
  /** Kills a process that takes calls; undefined when there is none right now. */
  killOne(service: ServiceName, choose: (candidates: readonly Replica[]) => Replica): number | undefined
  /** Kills every process of the service, and each one that is started in its place, until what it returns is called. */
  keepDown(service: ServiceName): () => void
  /** Processes that are started from now on get this too; undefined: no more of it. */
  launchWith(environmentOf: ((service: ServiceName) => Record<string, string>) | undefined): void
  /** Processes that are started from now on are started by this command, which becomes them; undefined: by none. */
  launchUnder(commandOf: ((service: ServiceName) => readonly string[]) | undefined): void
  /** Heals every network. */
  heal(): void
  stop(): Promise<void>
}

export interface WorldOptions {
  folder: string
  replicas?: Readonly<Record<string, number>>
  environment?: Record<string, string>
}

export async function startWorld({ folder, replicas = {}, environment = {} }: WorldOptions): Promise<World> {
  mkdirSync(folder, { recursive: true })
  const undo: (() => unknown)[] = []
  try {
    return await open()
  } catch (error) {
    for (const close of undo.reverse()) await close()
    throw error
  }

  async function open(): Promise<World> {
    const brokerPassword = randomBytes(18).toString('base64url')
    const logins = natsLogins(allServices, 'evt', () => brokerPassword)
    const [database, broker] = await Promise.all([openDatabase(folder), openBroker(folder, logins)])
    undo.push(
      () => database.stop(),
      () => broker.stop(),
    )
    const roles = [relayRole, ...allServices.map((service) => roleOf(service.name))]
    const passwords = Object.fromEntries(roles.map((role) => [role, randomBytes(18).toString('base64url')]))
    const address = await ensureDatabase(database.url, 'parley', passwords)
    await migrate({ adminUrl: address.adminUrl, services: allServices, passwords })

    const channelId = 'CHAOS-PHONE'
    const phone = await startWhapiSimulator({
      token: randomBytes(18).toString('base64url'),
      channelId,
      retry: { stepMs: 50, maxMs: 500 },
    })
    const phones = [phone]
    const model = await startModelSimulator()
    model.replyWith(answerByRefs)
    const networks = await openNetworks(database.port, broker.port)
    undo.push(
      () => Promise.all(phones.map((each) => each.close())),
      () => model.close(),
      () => Promise.all(Object.values(networks).flatMap((network) => [network.broker.close(), network.database.close()])),
    )

    const organizationId = randomUUIDv7()
    const { key, stored } = createKey(organizationId, ['*'])
    const shared: Record<string, string> = {
      PATH: process.env['PATH'] ?? '',
      // Listens to PARLEY_CRASH_AT.
      NODE_ENV: 'test',
      LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'warn',
      HOST: '127.0.0.1',
      ADMIN_HOST: '127.0.0.1',
      TRUST_PROXY: '127.0.0.1/32',
      PARLEY_SECRET_KEY: randomBytes(32).toString('base64'),
      INBOX_SUPPRESSION_KEY: randomBytes(32).toString('base64url'),
      PARLEY_API_KEYS: JSON.stringify([stored]),
      NOTIFIER_WHAPI_GATEWAYS: phone.url,
      NOTIFIER_WHATSAPP_PER_SECOND: '1000',
      MODEL_SIMULATOR_URL: model.baseUrl,
      AGENTS_QUIET_MS: '150',
      AGENTS_QUIET_MAX_MS: '1000',
      DATABASE_POOL: '6',
      POLL_MS: '500',
      // Who signs in here reads the link where it would have been sent from.
      ACCOUNTS_DEV_MAIL: 'true',
      ...environment,
    }

    const sink = openLogSink({ file: join(folder, 'parley.log'), verbose: false, say: () => {} })
    undo.push(() => sink.close())
    const keeperLog = openLog({ name: keeperName, level: shared['LOG_LEVEL'] ?? 'warn', destination: sink })
    const keeper = await openKeeper(allServices, { ...shared, NATS_URL: broker.url, ...logins.of(keeperName) }, keeperLog)
    undo.push(() => keeper.stop())

    let further: ((service: ServiceName) => Record<string, string>) | undefined
    let under: ((service: ServiceName) => readonly string[]) | undefined
    const waiting = new Map<string, string[]>()
    const armed = new Map<Replica, string>()
    const deaths: { service: string; how: string; at: number }[] = []
    const supervisor = await startSupervisor({
      plan: serviceNames.map((service) => ({ service, replicas: replicas[service] ?? 1 })),
      environmentOf(service) {
        const place = waiting.get(service)?.shift()
        if (place !== undefined) {
          // The process exists once the supervisor's own step is over.
          queueMicrotask(() => {
            const youngest = supervisor.replicas().findLast((replica) => replica.service === service)
            if (youngest) armed.set(youngest, `${service} at ${place}`)
          })
        }
        return {
          ...shared,
          ...addressesFor(networks[service as ServiceName], address, roleOf(service)),
          ...logins.of(service),
          ...(place === undefined ? {} : { PARLEY_CRASH_AT: place }),
          ...further?.(service as ServiceName),
        }
      },
      launchUnder: (service) => under?.(service as ServiceName) ?? [],
      sink,
      onDeath: (replica, how) => deaths.push({ service: replica.service, how, at: performance.now() }),
      longestPauseMs: 1_000,
    })
    undo.push(() => supervisor.stop())
    const door: Door = await openDoor({ services: allServices, supervisor, host: '127.0.0.1', port: 0 })
    undo.push(() => door.close())

    const api = openApi(door.url, key)
    const state = { sources: {} } as State
    await provisionDemo(api, state, { accountId: channelId, token: phone.token, gateway: phone.url })
    const source = state.sources[channelId]
    if (!source) throw new Error('Provisioning gave no webhook source.')
    const webhook = { url: `${door.url}${source.path}`, headers: { [source.header.name]: source.header.value } }
    phone.setWebhook(webhook)

    const admin = new pg.Pool({ connectionString: address.adminUrl, max: 3, connectionTimeoutMillis: 5_000 })
    admin.on('error', () => {}) // Restarting the server is what we do here.
    undo.push(() => admin.end())

    return {
      folder,
      url: door.url,
      webhook,
      api,
      operatorKey: key,
      operatorKeys: [stored],
      organizationId,
      channelId,
      broker,
      database,
      stream: 'EVT',
      supervisor,
      networks,
      phone,
      phones,
      model,
      adminUrl: address.adminUrl,
      sql: (text, values = []) => throughRestarts(async () => (await admin.query(text, values)).rows),
      crashAt: (service, places) => waiting.set(service, [...(waiting.get(service) ?? []), ...places]),
      crashesLeft: () => [
        ...[...waiting].flatMap(([service, places]) => places.map((place) => `${service} at ${place}`)),
        ...[...armed].filter(([replica]) => replica.state !== 'gone').map(([, place]) => place),
      ],
      deaths,
      killOne(service, choose) {
        const candidates = supervisor.live(service)
        if (candidates.length === 0) return undefined
        const { pid } = choose(candidates)
        process.kill(pid, 'SIGKILL')
        return pid
      },
      keepDown(service) {
        const killAll = () => {
          for (const replica of supervisor.replicas()) {
            if (replica.service === service && replica.pid > 0) process.kill(replica.pid, 'SIGKILL')
          }
        }
        killAll()
        // A process takes longer than this to start: none of them gets as far as taking a call.
        const timer = setInterval(killAll, 50)
        return () => clearInterval(timer)
      },
      launchWith(environmentOf) {
        further = environmentOf
      },
      launchUnder(commandOf) {
        under = commandOf
      },
      heal() {
        for (const network of Object.values(networks)) for (const proxy of Object.values(network)) proxy.set({ kind: 'pass' })
      },
      async stop() {
        for (const close of undo.reverse()) await close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
}

async function openNetworks(databasePort: number, brokerPort: number): Promise<Record<ServiceName, Network>> {
  const entries = serviceNames.map(async (service) => {
    const [broker, database] = await Promise.all([startTcpProxy({ port: brokerPort }), startTcpProxy({ port: databasePort })])
    return [service, { broker, database }] as const
  })
  return Object.fromEntries(await Promise.all(entries)) as Record<ServiceName, Network>
}

function addressesFor(network: Network, address: DatabaseAddress, role: string): Record<string, string> {
  const through = (url: string) => {
    const changed = new URL(url)
    changed.port = String(network.database.port)
    return changed.toString()
  }
  return {
    NATS_URL: `nats://127.0.0.1:${network.broker.port}`,
    DATABASE_URL: through(address.of(role)),
    RELAY_DATABASE_URL: through(address.of(relayRole)),
  }
}

/** The checker looks on while the server is being restarted. */
async function throughRestarts<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      const passing = /^(57P|08|53300|ECONN)/.test(code ?? '') || /terminat|timeout|ended|closed/i.test(message)
      if (!passing || tries >= 60) throw error
      await wait(500)
    }
  }
}
