import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import { installationId, TooLarge, UnfitKey } from '@parley/contracts'
import { BodyError, parseJson } from '@parley/contracts/json'
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { randomUUIDv7 } from 'node:crypto'
import { METHODS } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { anonymous } from './auth.ts'
import { type RecordRead, resourceIn, rowsIn } from './audit-reads.ts'
import type { CallShare } from './call-share.ts'
import { AppError, classify, describe, type ErrorCode, errorStatus, isOurTrouble } from './errors.ts'
import type { Idempotency } from './idempotency.ts'
import { idempotencyKeyIn } from './idempotency-key.ts'
import type { Logger } from './log.ts'
import { createSeldom } from './seldom.ts'
import { currentTraceparent, inSpan, meters, SpanKind } from './telemetry.ts'
import type { Authenticate, Caller, CommitFn, ReadFn, Route } from './types.ts'
import type { Call } from './unit.ts'

export interface DoorOptions {
  log: Logger
  /** Proxies whose X-Forwarded-For is believed, as CIDR blocks; a hop count could be spoofed (reliability.md D32). */
  trustProxy: readonly string[]
  /** Requests per minute from one address before 429. */
  requestsPerMinute: number
}

const bodyLimitBytes = 1024 * 1024

/** The HTTP server of one process, hardened as reliability.md D32 says. Routes are added before it listens. */
export async function openDoor(options: DoorOptions): Promise<FastifyInstance> {
  const door = fastify({
    loggerInstance: options.log.child({}, { level: 'warn' }) as FastifyBaseLogger,
    bodyLimit: bodyLimitBytes,
    requestTimeout: 10_000,
    connectionTimeout: 15_000,
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger per request compiles its redaction anew each time; what we log of a request names its id instead.
    childLoggerFactory: (logger) => logger,
    keepAliveTimeout: 65_000,
    maxRequestsPerSocket: 10_000,
    // Node looks for late requests only every 30 s by itself, which would make 35 s of the five.
    http: { headersTimeout: 5_000, maxHeaderSize: 16_384, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    clientErrorHandler: refuseUnparsed,
    frameworkErrors: (error, request, reply) => answerError(error, request, reply, options.log),
    trustProxy: options.trustProxy.length > 0 ? [...options.trustProxy] : false,
    genReqId: () => randomUUIDv7(),
    requestIdHeader: false,
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 256, ignoreDuplicateSlashes: false, ignoreTrailingSlash: true },
  })
  await door.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } } })
  await door.register(rateLimit, {
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, context) =>
      new AppError('too_many_requests', `Too many requests from this address: at most ${context.max} a minute.`, {
        details: { retryAfterMs: context.ttl },
      }),
  })
  door.removeAllContentTypeParsers()
  door.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    try {
      refuseEncoded(request)
      const { value, repaired } = parseJson(body as Buffer, { duplicateKeys: 'refuse' })
      if (repaired)
        throw new AppError('invalid', 'A text of the body holds a NUL or half a surrogate pair, which nothing can store.')
      done(null, value)
    } catch (error) {
      done(error as Error)
    }
  })
  door.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, options.log))
  const methodsAt = rememberPaths(door)
  door.server.on('connect', (_request, socket) => refuseMethod(socket))
  door.setNotFoundHandler((request, reply) => {
    if (!methodsOfOurs.includes(request.method)) {
      void reply.header('allow', methodsOfOurs.join(', '))
      return answerError(unknownMethod, request, reply, options.log)
    }
    const methods = methodsAt(pathOf(request).replace(/(?<=.)\/$/, ''))
    if (methods.length > 0) void reply.header('allow', methods.join(', '))
    const problem =
      methods.length > 0
        ? new AppError('method_not_allowed', `${request.method} is not possible here: ${methods.join(' or ')} is.`)
        : new AppError('not_found', `There is nothing at ${request.method} ${pathOf(request)}.`)
    answerError(problem, request, reply, options.log)
  })
  const unknownProxies = createSeldom({ everyMs: 600_000 })
  door.addHook('onRequest', async (request, reply) => {
    keepAddress(request)
    if (isOfUnknownProxy(request) && unknownProxies.isDue('proxy'))
      options.log.warn({ peer: request.ip }, 'a proxy calls that TRUST_PROXY does not name: all its callers count as one address')
    refuseUnlessOneHost(request, reply)
    refuseUnreadable(request)
  })
  door.addHook('onResponse', (request, reply, done) => {
    meters.requests().record(reply.elapsedTime / 1000, {
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: reply.statusCode,
    })
    done()
  })
  return door
}

/** Two Host headers may mean one host to a proxy and another to us (reliability.md A19); Node takes the first and says nothing. */
function refuseUnlessOneHost(request: FastifyRequest, reply: FastifyReply): void {
  const names = request.raw.rawHeaders
  let hosts = 0
  for (let i = 0; i < names.length; i += 2) if (names[i]?.length === 4 && names[i]?.toLowerCase() === 'host') hosts++
  if (hosts === 1 || (hosts === 0 && request.raw.httpVersion === '1.0')) return
  void reply.header('connection', 'close')
  throw new AppError('invalid', 'A request has one Host header.')
}

/** A socket that is reset has no address any more, and who is limited by it would be nobody: it is read once, at the beginning. */
function keepAddress(request: FastifyRequest): void {
  const ip = request.ip as string | undefined
  if (ip === undefined) throw new AppError(cutOff.code, cutOff.message)
  Object.defineProperty(request, 'ip', { value: ip })
}

/** A peer that is not believed says whom it speaks for. A stranger may do that too, so it is said seldom. */
const isOfUnknownProxy = ({ headers, ip, raw }: FastifyRequest) =>
  headers['x-forwarded-for'] !== undefined && ip === raw.socket.remoteAddress

/**
 * Postgres holds neither NUL nor half a surrogate pair, so nothing that we know by a text can have one: said here, once for every
 * path and query. The router would leave what is no UTF-8 as it stands, and another text would be looked for.
 */
function refuseUnreadable({ url }: FastifyRequest): void {
  if (!url.includes('%')) return
  if (url.includes('%00')) throw new AppError('invalid', 'An address holds no NUL character (%00).')
  try {
    decodeURIComponent(url)
  } catch (error) {
    throw new AppError('invalid', 'What an address writes with % must be UTF-8.', { cause: error })
  }
}

/** The bytes must be plain UTF-8: a packed body could grow a thousandfold, and another alphabet would be read as this one. */
function refuseEncoded(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding.toLowerCase() !== 'identity')
    throw new AppError('unsupported_media_type', 'A content-encoding is not accepted: send the body as it is.')
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  if (!/^utf-?8$/i.test(charset)) throw new AppError('unsupported_media_type', 'The body must be UTF-8.')
}

const methodsOfOurs = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']
/** The same for TRACE, CONNECT, another protocol's and an invented one, wherever they are tried. */
const unknownMethod = new AppError('method_not_allowed', `Only ${methodsOfOurs.join(', ')} are methods here.`)

/** Answers what Node hands over as a socket or did not take for a request, in the shape of every other error; then the socket ends. */
function endWith(socket: Duplex, status: string, { code, message }: Pick<AppError, 'code' | 'message'>, headers = ''): void {
  const body = JSON.stringify(errorBody(code, message))
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status}\r\nconnection: close\r\n${headers}content-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }
}

function refuseMethod(socket: Duplex): void {
  endWith(socket, '405 Method Not Allowed', unknownMethod, `allow: ${methodsOfOurs.join(', ')}\r\n`)
  socket.destroy()
}

/** Bytes that are no HTTP, and the rest of a body that was too long, are refused by the parser as an unknown method too. */
function asksByUnknownMethod(error: object): boolean {
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket.toString('latin1', 0, 1_100) : ''
  const [, method] = /^([A-Za-z-]{1,40}) \S{1,1000} HTTP\/1\.[01]\r\n/.exec(packet) ?? []
  return method !== undefined && !METHODS.includes(method)
}

/** Answers what Node's HTTP parser refused, before there is a request, in the shape of every other error; then the socket ends. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (error.code === 'HPE_INVALID_METHOD' && asksByUnknownMethod(error)) return refuseMethod(socket)
  const [status, code, message] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? (['408 Request Timeout', 'timeout', 'The request came too slowly.'] as const)
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? (['431 Request Header Fields Too Large', 'too_large', 'The headers are too large.'] as const)
        : (['400 Bad Request', 'invalid', 'The request cannot be read.'] as const)
  endWith(socket, status, { code, message })
  socket.destroy(error)
}

/** Which methods a path has. Fastify's router answers 404 for both a wrong path and a wrong method; callers deserve to know which. */
function rememberPaths(door: FastifyInstance): (path: string) => string[] {
  const places = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  door.addHook('onRoute', ({ url, method }) => {
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replace(/:[A-Za-z_]+/g, '[^/]+')
    const place = places.get(url) ?? { pattern: new RegExp(`^${pattern}$`), methods: new Set() }
    for (const name of [method].flat()) place.methods.add(name)
    places.set(url, place)
  })
  return (path) =>
    [...new Set([...places.values()].flatMap((place) => (place.pattern.test(path) ? [...place.methods] : [])))].sort()
}

const pathOf = (request: FastifyRequest) => request.url.split('?')[0]?.slice(0, 200) ?? ''

/** The one shape of every error answer: `{ error: { code, message, details? } }`. */
export function errorBody(code: string, message: string, details?: unknown) {
  return { error: details === undefined ? { code, message } : { code, message, details } }
}

/** One line of a kind in ten seconds. */
const faults = createSeldom({ everyMs: 10_000 })

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const answer: ReturnType<typeof publicError> = hungUp(request) ? cutOff : publicError(error)
  if (answer.code === 'internal') {
    // Logged once, here, whole. A stranger may make it happen as often as they like: it is said seldom, with how often it was so.
    const { name, code } = describe(error)
    const repeated = faults.heldBack(`${request.routeOptions.url} ${name} ${code}`)
    if (repeated !== null) {
      const { id: requestId, routeOptions } = request
      log.error({ err: error, requestId, route: routeOptions.url, repeated }, 'a request failed through our fault')
    }
  }
  if (answer.code === 'unauthenticated') void reply.header('www-authenticate', 'Bearer')
  if (answer.code === 'unavailable') void reply.header('retry-after', '2')
  if (answer.code === 'conflict' && isInProgress(answer.details)) void reply.header('retry-after', '2')
  // The limiter has set the seconds that are left; a service's own refusal may not have.
  if (answer.code === 'too_many_requests' && !reply.hasHeader('retry-after'))
    void reply.header('retry-after', secondsIn(answer.details))
  void reply.code(errorStatus[answer.code]).send(errorBody(answer.code, answer.message, answer.details))
}

/** The caller went away before the request was whole: nobody reads the answer, and no fault of ours is in it. */
const hungUp = ({ raw }: FastifyRequest) => raw.destroyed && !raw.complete

function secondsIn(details: unknown): string {
  const { retryAfterMs = 60_000 } = (details ?? {}) as { retryAfterMs?: number }
  return String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
}

const isInProgress = (details: unknown) => (details as { reason?: unknown } | undefined)?.reason === 'in_progress'

const unreadable = { code: 'invalid', message: 'The request cannot be read.' } as const
const cutOff = { code: 'invalid', message: 'The request was cut off.' } as const
const late = { code: 'unavailable', message: 'This takes too long right now. Try again.' } as const
/** Fastify's own refusals in our words. */
const frameworkErrors: Record<string, { code: ErrorCode; message: string }> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', message: 'The body must be application/json.' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too_large', message: 'The body is too large.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: unreadable,
  FST_ERR_BAD_URL: unreadable,
  FST_ERR_HANDLER_TIMEOUT: late,
}

/** What the caller may know of an error. */
export function publicError(error: unknown): { code: ErrorCode; message: string; details?: unknown } {
  if (error instanceof AppError)
    return { code: error.code, message: error.message, ...(error.details === undefined ? {} : { details: error.details }) }
  if (error instanceof BodyError) return { code: 'invalid', message: error.message, details: { reason: error.code } }
  // What the caller sent was to be an event or its key: what is ours fits.
  if (error instanceof UnfitKey || error instanceof TooLarge) return { code: 'invalid', message: error.message }
  const known = frameworkErrors[describe(error).code ?? '']
  if (known) return known
  const status = (error as { statusCode?: unknown })?.statusCode
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { code: 'invalid', message: 'The request cannot be read.' }
  const kind = classify(error)
  if (isOurTrouble(kind) || kind === 'retry')
    return { code: 'unavailable', message: 'A part of the system is away for a moment. Try again.' }
  return { code: 'internal', message: 'Something went wrong on our side.' }
}

/** What a route needs of its service. */
export interface RouteHost {
  serviceName: string
  app: unknown
  log: Logger
  authenticate: Authenticate
  share: CallShare
  read(organizationId: string): ReadFn<never>
  commit(organizationId: string, call: Call): CommitFn<never>
  recordRead: RecordRead
  idempotency: Idempotency
}

/** Adds a route, and the other paths it answers to. Input is parsed with its schemas; an unknown or wrong field is named in the 400. */
export function addRoute(door: FastifyInstance, route: Route<never, never>, host: RouteHost): void {
  const places = [{ method: route.method, url: route.path }, ...route.also.map(parsePlace)]
  for (const { method, url } of places) {
    door.route({
      method,
      url,
      // HEAD is GET without the body, as every client and monitor expects.
      exposeHeadRoute: true,
      handlerTimeout: 8_000,
      ...(route.perMinute === null ? {} : { config: { rateLimit: { max: route.perMinute, timeWindow: 60_000 } } }),
      handler: (request, reply) =>
        inSpan(`${method} ${url}`, { kind: SpanKind.SERVER, parent: headerText(request.headers['traceparent']) }, async () => {
          // Answers are somebody's own, and those of signing in hold tokens.
          void reply.header('cache-control', 'no-store')
          const caller = await host.authenticate(request, route.scope, reply)
          const from = { ip: request.ip, userAgent: headerText(request.headers['user-agent'])?.slice(0, 512) ?? null }
          const params = parseInput('path', route.params, request.params)
          const query = parseInput('query', route.query, request.query)
          refuseUnknownQuery(route.query, request.query)
          const body = parseInput('body', route.body, request.body)
          const call = { requestId: request.id, actor: caller.actor, from, action: `${route.method} ${route.path}` }
          const { status, result } = await inTurn(host, request, reply, caller, () =>
            runOnce(route, host, request, reply, caller, () =>
              route.run({
                params,
                query,
                body,
                caller,
                from,
                app: host.app as never,
                read: host.read(caller.organizationId),
                commit: host.commit(caller.organizationId, call),
                requestId: request.id,
                log: host.log,
              }),
            ),
          )
          if (route.personalData !== null) {
            const read = { resourceType: route.personalData, resourceId: resourceIn(params), count: rowsIn(result) }
            await host.recordRead({ organizationId: caller.organizationId, call, ...read })
          }
          const traceparent = currentTraceparent()
          if (traceparent !== undefined) void reply.header('traceparent', traceparent)
          return reply.code(status).send(result)
        }),
    })
  }
}

/** Each organization has its share of a service's calls; whoever is in none yet, one of their own. A stranger is limited by address. */
function inTurn<T>(
  host: RouteHost,
  request: FastifyRequest,
  reply: FastifyReply,
  { organizationId, actor }: Caller,
  run: () => Promise<T>,
): Promise<T> {
  if (actor === anonymous.actor) return run()
  return host.share(organizationId === installationId ? actor.id : organizationId, () => {
    // Who has waited too long, or has gone, has had the answer: nothing is done for nobody.
    if (reply.sent || request.raw.socket.destroyed) throw new AppError(late.code, late.message)
    return run()
  })
}

/**
 * A POST with an Idempotency-Key is carried out once. Not offered on public calls: whoever makes them is nobody yet, so two strangers
 * with one key would share an answer.
 */
async function runOnce(
  route: Route<never, never>,
  host: RouteHost,
  request: FastifyRequest,
  reply: FastifyReply,
  { organizationId, actor }: Caller,
  run: () => Promise<unknown>,
): Promise<{ status: number; result: unknown }> {
  const key =
    request.method === 'POST' && route.scope !== 'public' ? idempotencyKeyIn(request.headers['idempotency-key']) : undefined
  if (key === undefined) return { status: route.status, result: await run() }
  const sent = { query: request.query, body: request.body }
  const path = request.url.split('?', 1)[0] ?? ''
  const call = { organizationId, actor, method: request.method, path, key, request: sent }
  const answer = await host.idempotency.once(request.id, call, async () => ({
    status: route.status,
    text: JSON.stringify(await run()),
  }))
  if (answer.replayed) void reply.header('idempotent-replayed', 'true')
  return { status: answer.status, result: answer.text === undefined ? undefined : JSON.parse(answer.text) }
}

/** `POST /path` of a route's `also`. */
export function parsePlace(text: string): { method: Route['method']; url: string } {
  const [method, url] = text.split(' ')
  if (!method || !url?.startsWith('/')) throw new TypeError(`'${text}' is not a method and a path.`)
  return { method: method as Route['method'], url }
}

const noQuery = z.object({})

/** A filter that nobody knows, left out, would answer with everybody's rows as if it had been heeded. */
function refuseUnknownQuery(schema: z.ZodType | undefined, sent: unknown): void {
  const { shape } = schema instanceof z.ZodObject ? schema : noQuery
  const unknown = Object.keys(sent ?? {}).find((key) => !Object.hasOwn(shape, key))
  if (unknown === undefined || (schema !== undefined && !(schema instanceof z.ZodObject))) return
  throw new AppError('invalid', `query.${unknown.slice(0, 64)}: There is no such parameter.`)
}

const headerText = (value: string | string[] | undefined) => (typeof value === 'string' ? value : undefined)

/** What a part of a request is, by its schema. Throws AppError `invalid`, which names the field. */
export function parseInput(where: string, schema: z.ZodType | undefined, input: unknown): unknown {
  if (!schema) return undefined
  const parsed = schema.safeParse(input ?? {})
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues
    .slice(0, 20)
    .map((issue) => ({ field: [where, ...issue.path].join('.'), problem: issue.message }))
  const first = problems[0]
  throw new AppError('invalid', first ? `${first.field}: ${first.problem}` : `The ${where} is wrong.`, { details: problems })
}
