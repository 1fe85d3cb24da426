import type { State } from './home.ts'

export type Environment = Record<string, string>

/** The services' settings: the caller's own environment, and where it says nothing, what this home and its simulators say. */
export function environmentFor(options: {
  base: NodeJS.ProcessEnv
  state: State
  natsUrl: string
  /** The process's login there, when the broker is ours. */
  natsLogin: Environment
  /** The origin of the simulated gateway, when there is one. */
  gateway: string | undefined
  /** With the API's path. */
  modelSimulator: string | undefined
}): Environment {
  const { base, state } = options
  const given = Object.fromEntries(Object.entries(base).filter((entry): entry is [string, string] => Boolean(entry[1])))
  return {
    PARLEY_SECRET_KEY: state.sealingKey,
    INBOX_SUPPRESSION_KEY: state.suppressionKey,
    // Connections are dear on a laptop, and all services share one server.
    DATABASE_POOL: '8',
    // There is no mail server here: `parley mail` shows what was written.
    ACCOUNTS_DEV_MAIL: 'true',
    ...given,
    // The simulators are on this machine, where connections may otherwise not lead.
    ACCOUNTS_CONNECTION_ORIGINS: simulatedOrigins(options, given['ACCOUNTS_CONNECTION_ORIGINS']),
    NATS_URL: options.natsUrl,
    ...options.natsLogin,
    HOST: '127.0.0.1',
    ADMIN_HOST: '127.0.0.1',
    PARLEY_API_KEYS: JSON.stringify([...givenKeys(given['PARLEY_API_KEYS']), state.apiKey]),
    ...(options.gateway === undefined
      ? {}
      : { NOTIFIER_WHAPI_GATEWAYS: listWith(given['NOTIFIER_WHAPI_GATEWAYS'], options.gateway) }),
    ...(options.modelSimulator === undefined ? {} : { MODEL_SIMULATOR_URL: options.modelSimulator }),
  }
}

function simulatedOrigins(simulated: { gateway: string | undefined; modelSimulator: string | undefined }, given = ''): string {
  const { gateway, modelSimulator } = simulated
  const origins = [gateway, modelSimulator && new URL(modelSimulator).origin, ...given.split(',')]
  return origins.filter((origin) => origin !== undefined && origin !== '').join(',')
}

/** Left as it is when it is no list: the services' own check of the environment then names the variable. */
function givenKeys(text: string | undefined): unknown[] {
  if (text === undefined) return []
  const parsed: unknown = JSON.parse(text)
  return Array.isArray(parsed) ? parsed : [parsed]
}

const listWith = (list: string | undefined, entry: string) =>
  [entry, ...(list ?? 'https://gate.whapi.cloud').split(',')].join(',')
