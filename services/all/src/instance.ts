import { type Infrastructure, startInfrastructure } from '@parley/embedded'
import { keeperName, migrate, openKeeper, openLog, processName, start, type StartOptions } from '@parley/runtime'
import { readFileSync } from 'node:fs'
import { type Api, openApi } from './api.ts'
import { startControl } from './control.ts'
import { type DatabaseAddress, ensureDatabase } from './database.ts'
import { docsPolicy, readDocs } from './docs.ts'
import { type Environment, environmentFor } from './environment.ts'
import { failure, textOf } from './failure.ts'
import { type Home, openState, saveState, type State } from './home.ts'
import { type LogSink, openLogSink } from './log-sink.ts'
import { natsLogins } from './nats-logins.ts'
import { freePort } from './ports.ts'
import { demoOwnerEmail, provisionDemo } from './provision.ts'
import { claimHome, type RunningFacts } from './running.ts'
import type { AnyService } from './services.ts'
import { type Simulators, startSimulators } from './simulators.ts'
import { type Split, startSplit } from './split.ts'

export interface InstanceOptions {
  services: readonly AnyService[]
  home: Home
  environment: NodeJS.ProcessEnv
  split: boolean
  /** Wanted; the next free one is taken when somebody has it. */
  port: number
  verbose: boolean
  /** One line for the user about what is going on. */
  say(line: string): void
  /** Stops the start between two steps. */
  signal?: AbortSignal
}

/** A whole Parley on this machine. */
export interface Instance {
  url: string
  state: State
  api: Api
  facts: RunningFacts
  simulators: Simulators
  infrastructure: Infrastructure
  /** The processes of the split shape. */
  split: Split | undefined
  /** In order: the door, the services, the simulators, the servers. Calling it twice is harmless. */
  stop(): Promise<void>
}

/**
 * Starts everything: servers, database, simulators, services, the demo organization. Rejects with a Failure that says what to do,
 * with nothing left running.
 */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { home, services, say } = options
  const claim = claimHome(home)
  const undo: (() => unknown)[] = [() => claim.release()]
  let undoing: Promise<void> | undefined
  const stop = () => (undoing ??= unwind(undo))
  try {
    const state = openState(
      home,
      services.map((service) => service.name),
    )
    const sink = openLogSink({ file: home.logFile, verbose: options.verbose, say })
    undo.push(() => sink.close())
    const pause = () => options.signal?.throwIfAborted()

    const logins = natsLogins(
      services,
      options.environment['BUS_ROOT'] || 'evt',
      (name) => state.natsPasswords[name] ?? fail(`There is no password at the broker for ${name}.`),
    )
    const infrastructure = await step('Postgres and NATS', sink, () =>
      startInfrastructure({
        folder: home.folder,
        natsAccounts: logins.settings,
        log(line) {
          sink.write(logLine(line))
          say(line)
        },
      }),
    )
    undo.push(() => infrastructure.stop())
    // Servers that are given have logins of their own: NATS_USER and NATS_PASSWORD, or in PARLEY_NATS_URL.
    const natsLogin = (name: string) => (infrastructure.kind === 'embedded' ? logins.of(name) : {})
    if (infrastructure.kind !== 'embedded') say(`Postgres and NATS: ${infrastructure.kind}.`)
    pause()

    const database = await ensureDatabase(
      infrastructure.postgresUrl,
      options.environment['PARLEY_DATABASE'] || 'parley',
      state.passwords,
    )
    await step('the migrations', sink, () => migrate({ adminUrl: database.adminUrl, services, passwords: state.passwords }))
    say('The database is up to date.')
    pause()

    const simulators = await startSimulators(state, options.environment)
    undo.push(() => simulators.close())
    const { phone, model } = simulators
    const control = phone ? await startControl(phone) : undefined
    undo.push(() => control?.close())
    const environment = environmentFor({
      base: options.environment,
      state,
      natsUrl: infrastructure.natsUrl,
      natsLogin: natsLogin(processName),
      gateway: phone?.url,
      modelSimulator: model?.baseUrl,
    })

    if (infrastructure.kind === 'embedded') {
      const keeper = await step('the event stream', sink, () =>
        openKeeper(services, { ...environment, ...natsLogin(keeperName) }, logTo(sink, environment)),
      )
      undo.push(() => keeper.stop())
    }

    const port = await freePort(options.port)
    if (options.port !== 0 && port !== options.port) say(`Port ${options.port} is taken; this Parley listens on ${port}.`)
    // Links in mail and addresses of webhooks name the port that was really had.
    environment['ACCOUNTS_PUBLIC_URL'] ??= `http://127.0.0.1:${port}`
    const shape = await step('the services', sink, () =>
      options.split
        ? startAsProcesses(options, environment, database, sink, port, natsLogin)
        : startInOne(options, environment, database, sink, port),
    )
    undo.push(() => shape.stop())
    pause()

    const api = openApi(shape.url, readFileSync(home.keyFile, 'utf8').trim())
    const channel = phone
      ? { accountId: phone.channelId, token: phone.token, gateway: phone.url }
      : {
          accountId: options.environment['WHAPI_CHANNEL_ID'] ?? '',
          token: options.environment['WHAPI_TOKEN'] ?? '',
          gateway: undefined,
        }
    if (channel.accountId === '')
      throw failure(
        'WHAPI_TOKEN is set, so WHAPI_CHANNEL_ID is needed too: the id of that channel at Whapi. Without WHAPI_TOKEN a simulated phone is used.',
      )
    await provisionDemo(api, state, channel, options.environment['PARLEY_OWNER_EMAIL'] || demoOwnerEmail)
    saveState(home, state)
    const source = state.sources[channel.accountId]
    if (source) phone?.setWebhook({ url: `${shape.url}${source.path}`, headers: { [source.header.name]: source.header.value } })

    const facts: RunningFacts = {
      ready: true,
      shape: options.split ? 'split' : 'one process',
      url: shape.url,
      adminUrls: shape.adminUrls,
      control: control ? { url: control.url, token: control.token } : null,
      postgresUrl: database.adminUrl,
      natsUrl: infrastructure.natsUrl,
      natsMonitoringUrl: infrastructure.nats?.monitoringUrl ?? null,
    }
    claim.update(facts)
    undo.push(() => sink.hush())
    return { url: shape.url, state, api, facts, simulators, infrastructure, split: shape.split, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Shape {
  url: string
  adminUrls: { name: string; url: string }[]
  split: Split | undefined
  stop(): Promise<void>
}

async function startInOne(
  options: InstanceOptions,
  environment: Environment,
  database: DatabaseAddress,
  sink: LogSink,
  port: number,
): Promise<Shape> {
  const running = await start({
    services: options.services,
    environment: { ...environment, PORT: String(port), ADMIN_PORT: String(await freePort(9_090)) },
    databaseUrl: (role) => database.of(role),
    log: logTo(sink, environment),
    extend: serveDocs,
  })
  return {
    url: running.url,
    adminUrls: [{ name: 'parley', url: running.adminUrl }],
    split: undefined,
    stop: () => running.stop(),
  }
}

async function startAsProcesses(
  options: InstanceOptions,
  environment: Environment,
  database: DatabaseAddress,
  sink: LogSink,
  port: number,
  natsLogin: (service: string) => Environment,
): Promise<Shape> {
  const split = await startSplit({
    services: options.services,
    environment: { ...environment, DATABASE_POOL: options.environment['DATABASE_POOL'] ?? '6' },
    databaseUrl: (role) => database.of(role),
    natsLogin,
    sink,
    port,
    onDeath: (replica, how) =>
      options.say(`${replica.name} (process ${replica.pid}) ended by ${how}; another one takes its place.`),
  })
  const adminUrls = split.supervisor.replicas().map((replica) => ({ name: replica.name, url: replica.adminUrl }))
  return { url: split.url, adminUrls, split, stop: () => split.stop() }
}

const logTo = (sink: LogSink, environment: Environment) =>
  openLog({ name: 'parley', level: environment['LOG_LEVEL'] ?? 'info', destination: sink })

function fail(what: string): never {
  throw new Error(what)
}

type FastifyDoor = Parameters<NonNullable<StartOptions['extend']>>[0]

async function serveDocs(door: FastifyDoor): Promise<void> {
  for (const [path, { type, body }] of readDocs()) {
    door.get(path, (_request, reply) => reply.header('content-security-policy', docsPolicy).type(type).send(body))
  }
}

/** A step's failure as one paragraph; the stack goes to the log. */
async function step<T>(what: string, sink: LogSink, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const stack = cause instanceof Error ? cause.stack : String(cause)
    // Level 30: the user reads the paragraph, not this line.
    sink.write(
      JSON.stringify({
        level: 30,
        time: new Date().toISOString(),
        service: 'parley',
        msg: `${what} did not start`,
        stack,
        cause: textOf((cause as Error).cause),
      }),
    )
    throw failure(
      `Starting ${what} failed. ${textOf(cause)}\nThe whole story is in the log; \`parley doctor\` checks what is needed.`,
      cause,
    )
  }
}

const logLine = (msg: string) => JSON.stringify({ level: 30, time: new Date().toISOString(), service: 'embedded', msg })

/** Last opened, first closed; one that fails does not keep the others from closing. Rejects with the first failure. */
async function unwind(undo: readonly (() => unknown)[]): Promise<void> {
  const failures: Error[] = []
  for (const close of undo.toReversed()) {
    try {
      await close()
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(String(error)))
    }
  }
  if (failures[0]) throw failures[0]
}
