import { credsAuthenticator, type NodeConnectionOptions } from '@nats-io/transport-node'
import { readFileSync } from 'node:fs'
import { inboxOf, limitedApi } from './bus-permissions.ts'
import type { Secret } from './config.ts'
import type { ProcessConfig } from './process-config.ts'

/** Who a process is to the broker. */
export interface BusLogin {
  /** One or more servers, comma-separated; may hold `user:password@`, of a login that manages the stream itself. */
  url: string
  /** The login's name, and what its inbox is called. */
  user: string
  password?: Secret | undefined
  /** A file of credentials, for servers that know their users by an operator's signature. */
  credentialsFile?: string | undefined
}

/** What the environment says; `name` is what a process is called that says nothing of it. */
export function loginOf(config: ProcessConfig, name: string): BusLogin {
  return {
    url: config.NATS_URL,
    user: config.NATS_USER ?? name,
    password: config.NATS_PASSWORD,
    credentialsFile: config.NATS_CREDENTIALS_FILE,
  }
}

/** True for a login with a list of what it may do: the keeper then manages the stream (docs/decisions/0013). */
export const isLimited = (login: BusLogin) => login.password !== undefined || login.credentialsFile !== undefined

/** What JetStream is called for this login. */
export const apiOf = (login: BusLogin) => (isLimited(login) ? limitedApi : '$JS.API')

/**
 * How the client is told who we are and that it shall never give up (reliability.md finding 7, D19). Throws when the file of credentials
 * cannot be read, or an address is none.
 */
export function connectionOptions(login: BusLogin, name: string): NodeConnectionOptions {
  const addresses = login.url.split(',').map((server) => readAddress(server.trim()))
  const inUrl = addresses.find((address) => address.user !== '')
  return {
    name,
    servers: addresses.map((address) => address.server),
    inboxPrefix: inboxOf(login.user),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreClusterUpdates: true,
    // Building a stack for each request, in case it fails, cost more than the request.
    noAsyncTraces: true,
    // A password that is changed while we run must not end the client for good: the next start brings the new one.
    ignoreAuthErrorAbort: true,
    ...(login.credentialsFile === undefined
      ? login.password === undefined
        ? inUrl && { user: inUrl.user, pass: inUrl.password }
        : { user: login.user, pass: login.password.reveal() }
      : { authenticator: credsAuthenticator(readFileSync(login.credentialsFile)) }),
  }
}

/** The client knows nothing of names and passwords in addresses. */
function readAddress(text: string): { server: string; user: string; password: string } {
  const url = new URL(text.includes('://') ? text : `nats://${text}`)
  const user = decodeURIComponent(url.username)
  const password = decodeURIComponent(url.password)
  url.username = ''
  url.password = ''
  return { server: url.toString(), user, password }
}
