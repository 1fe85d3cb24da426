import { errorBody } from '@parley/runtime'
import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { docsPolicy, readDocs } from './docs.ts'
import { routeTable } from './route-table.ts'
import type { AnyService } from './services.ts'
import type { Replica, Supervisor } from './supervisor.ts'

export interface Door {
  url: string
  /** Takes no more calls, lets those under way end, cuts those that stream. */
  close(): Promise<void>
}

/** Headers about one hop, never passed on (RFC 9110 §7.6.1). */
const hopHeaders = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
])
const closeGraceMs = 2_000

/**
 * One HTTP address in front of many processes: routes by the services' own lists, takes the replicas of a service in turn, streams
 * both ways without holding anything back. A call that no replica has seen goes to the next one; what is written in the
 * services (limits, authentication, errors) is written there once and not again here.
 */
export async function openDoor(options: {
  services: readonly AnyService[]
  supervisor: Supervisor
  host: string
  port: number
}): Promise<Door> {
  const { supervisor } = options
  const serviceOf = routeTable(options.services)
  const docs = readDocs()
  const agent = new Agent({ keepAlive: true, maxSockets: 256, scheduling: 'fifo' })
  const turns = new Map<string, number>()
  let closing = false

  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 15_000, keepAliveTimeout: 65_000, maxHeaderSize: 16_384 },
    (incoming, outgoing) => {
      const path = (incoming.url ?? '/').split('?')[0] ?? '/'
      if (closing) return refuse(outgoing, 503, 'unavailable', 'This Parley is stopping.')
      if (path === '/healthz') return sendJson(outgoing, 200, { status: 'ok' })
      if (path === '/readyz') return sendReadiness(outgoing)
      // A slash at the end is the same address, as at the services' own door.
      const document = docs.get(path.replace(/(?<=.)\/$/, ''))
      if (document && incoming.method === 'GET') {
        outgoing.writeHead(200, {
          'content-type': document.type,
          'content-security-policy': docsPolicy,
          'x-content-type-options': 'nosniff',
        })
        outgoing.end(document.body)
        return
      }
      const service = serviceOf(path)
      if (service === undefined)
        return refuse(outgoing, 404, 'not_found', `There is nothing at ${incoming.method} ${path.slice(0, 200)}.`)
      forward(service, incoming, outgoing)
    },
  )

  function sendReadiness(outgoing: ServerResponse): void {
    const checks = Object.fromEntries(options.services.map(({ name }) => [name, supervisor.live(name).length > 0]))
    const ready = Object.values(checks).every(Boolean)
    sendJson(
      outgoing,
      ready ? 200 : 503,
      ready ? { status: 'ready', checks } : { ...errorBody('unavailable', 'Not ready.'), checks },
    )
  }

  function nextReplica(service: string, not: readonly Replica[]): Replica | undefined {
    const candidates = supervisor.live(service).filter((replica) => !not.includes(replica))
    const turn = (turns.get(service) ?? -1) + 1
    turns.set(service, turn)
    return candidates[turn % candidates.length]
  }

  function forward(service: string, incoming: IncomingMessage, outgoing: ServerResponse, tried: Replica[] = []): void {
    const replica = nextReplica(service, tried)
    if (!replica) return refuse(outgoing, 503, 'unavailable', `No process of ${service} is up right now. Try again.`)
    tried.push(replica)
    replica.calls++
    let counted = true
    const done = () => {
      if (counted) replica.calls--
      counted = false
    }
    const upstream = request(`${replica.url}${incoming.url ?? '/'}`, {
      method: incoming.method,
      headers: requestHeaders(incoming),
      agent,
    })
    let begun = false
    // The body leaves only once there is somebody to take it: until then the call can still go elsewhere whole.
    upstream.once('socket', (socket) => {
      const begin = () => {
        begun = true
        incoming.pipe(upstream)
      }
      if (socket.connecting) socket.once('connect', begin)
      else begin()
    })
    upstream.once('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.statusMessage, passedOn(response.headers))
      outgoing.flushHeaders()
      response.pipe(outgoing)
      response.once('close', () => {
        done()
        // Cut off in the middle: the caller must not take it for the whole.
        if (!response.complete) outgoing.destroy()
      })
    })
    upstream.once('error', () => {
      done()
      if (outgoing.destroyed) return
      if (outgoing.headersSent) return void outgoing.destroy()
      // A kept-alive connection may close as we write; repeating is safe only where doing it twice is.
      const harmless =
        (incoming.method === 'GET' || incoming.method === 'HEAD') && incoming.headers['content-length'] === undefined
      if (tried.length < 2 && (!begun || harmless)) return forward(service, incoming, outgoing, tried)
      refuse(outgoing, 503, 'unavailable', `A process of ${service} went away during this call. Try again.`)
    })
    outgoing.once('close', () => {
      if (!outgoing.writableEnded || !outgoing.writableFinished) upstream.destroy()
    })
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  return {
    url: `http://${options.host}:${(server.address() as AddressInfo).port}`,
    async close() {
      closing = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), closeGraceMs)
      await closed
      clearTimeout(timer)
      agent.destroy()
    },
  }
}

function requestHeaders(incoming: IncomingMessage): IncomingHttpHeaders {
  const before = incoming.headers['x-forwarded-for']
  const address = incoming.socket.remoteAddress ?? ''
  return {
    ...passedOn(incoming.headers),
    'x-forwarded-for': before === undefined ? address : `${String(before)}, ${address}`,
    'x-forwarded-host': incoming.headers.host ?? '',
    'x-forwarded-proto': 'http',
    // A body of unknown length keeps its framing.
    ...(incoming.headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
  }
}

function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = new Set(
    String(headers.connection ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase()),
  )
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopHeaders.has(name) && !named.has(name)))
}

function sendJson(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  })
  outgoing.end(JSON.stringify(body))
}

function refuse(outgoing: ServerResponse, status: number, code: string, message: string): void {
  sendJson(outgoing, status, errorBody(code, message))
}
