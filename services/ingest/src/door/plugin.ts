import type { ProviderName } from '@parley/contracts'
import { AppError, inSpan, meters, type Service, SpanKind } from '@parley/runtime'
import type { App } from '../app.ts'
import { mediaTypeProblem } from '../rules/media-type.ts'
import { noRoom, readBody } from './read-body.ts'
import { announcedBytes, type BodyPlace, createRoom, limitsFor, memoryBytes } from './room.ts'
import type { KnownSource } from './source-cache.ts'
import { checkAllowance, checkHeaders, Refused, takeDelivery, TooMuch } from './take-delivery.ts'

type HttpServer = Parameters<NonNullable<Service['plugin']>>[0]

/** What of a request finds its source. */
interface HttpRequest {
  params: unknown
  query: unknown
  headers: Readonly<Record<string, string | string[] | undefined>>
  log: { debug(details: object, message: string): void }
}

const bodyLimitBytes = 2 * 1024 * 1024
/** A call's recording comes inside its webhook (providers.md §5). */
const recordingLimitBytes = 64 * 1024 * 1024

interface Place {
  url: string
  bodyLimit: number
  /** The providers that may call here; undefined: the one that the path names. */
  providers: readonly ProviderName[] | undefined
}

const places: readonly Place[] = [
  { url: '/webhooks/elevenlabs/:token', bodyLimit: recordingLimitBytes, providers: ['elevenlabs'] },
  { url: '/webhooks/:provider/:token', bodyLimit: bodyLimitBytes, providers: undefined },
  // The paths of the source documents have no room for a token: it comes as `?token=` or as a header.
  { url: '/functions/whatsapp-webhook', bodyLimit: bodyLimitBytes, providers: ['whapi'] },
  { url: '/functions/v1/handle-call-webhook', bodyLimit: recordingLimitBytes, providers: ['elevenlabs', 'tavus'] },
]

/** The door for webhooks: raw bytes in, 200 once they are committed. Who knocks without a token that we gave is not let in with a body. */
export async function webhookDoor(scope: HttpServer, app: App): Promise<void> {
  const welcome = new WeakMap<HttpRequest, Welcome>()
  const limits = limitsFor(memoryBytes())
  const room = createRoom(limits.bytesInFlight, bodyLimitBytes)

  scope.removeAllContentTypeParsers()
  // The signature is over the bytes as they came (reliability.md D29), so nothing is parsed here.
  scope.addContentTypeParser('*', (request, stream, done) => {
    const { source, place, bodyLimit } = welcomeOf(welcome, request)
    readBody(stream, place, bodyLimit, (error, body) =>
      done(error === null ? null : (counted(request, error, source) as Error), body),
    )
  })

  for (const place of places) {
    scope.route({
      method: 'POST',
      url: place.url,
      bodyLimit: place.bodyLimit,
      // A provider reads a status and no page: the one header that matters is set below, the dozen others cost a twentieth of the call.
      helmet: false,
      // Before the body is read: an unknown token costs a look-up in memory, not two megabytes.
      onRequest: async (request, reply) => {
        const problem = mediaTypeProblem(request.headers['content-type'], request.headers['content-encoding'])
        if (problem !== null) throw counted(request, new AppError('unsupported_media_type', problem))
        const source = await app.sources.find(tokenOf(request))
        if (source === undefined || !isWelcome(place, source, request)) throw counted(request, new Refused(404, 'unknown_token'))
        try {
          checkHeaders(source, { headers: request.headers, receivedAt: app.now() })
          checkAllowance(app, source)
          if ((announcedBytes(request.headers) ?? 0) > place.bodyLimit) throw new AppError('too_large', 'The body is too large.')
        } catch (error) {
          // A body that nobody wants is not to be sent to its end.
          void reply.header('connection', 'close')
          sayWhen(reply, error)
          throw counted(request, error, source)
        }
        if (app.deliveries.waiting() > limits.deliveriesWaiting) throw counted(request, noRoom(), source)
        const body = room.enter(source)
        // Comes once, however the call ends: answered, or cut off halfway.
        reply.raw.once('close', () => body.leave())
        welcome.set(request, { source, place: body, bodyLimit: place.bodyLimit })
      },
      handler: async (request, reply) => {
        const { source } = welcomeOf(welcome, request)
        const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        try {
          const stored = await inSpan(
            `webhook ${source.provider}`,
            { kind: SpanKind.SERVER, parent: traceparentOf(request) },
            () => takeDelivery(app, source, { headers: request.headers, rawBody }),
          )
          meters.webhooks().add(1, { provider: source.provider, verdict: stored.duplicate ? 'duplicate' : 'accepted' })
          // Exactly 200: ElevenLabs and others take no other answer for success (providers.md §14).
          return reply
            .code(200)
            .header('x-content-type-options', 'nosniff')
            .send({ received: true, receiptId: stored.receiptId, duplicate: stored.duplicate })
        } catch (error) {
          sayWhen(reply, error)
          throw counted(request, error, source)
        }
      },
    })
    scope.route({
      method: ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
      url: place.url,
      onRequest: async (_request, reply) => {
        void reply.header('allow', 'POST')
        throw new AppError(
          'method_not_allowed',
          'Webhooks are taken by POST only; set the provider to send the event in the body.',
        )
      },
      handler: async () => undefined,
    })
  }
}

function sayWhen(reply: { header(name: string, value: string): unknown }, error: unknown): void {
  if (error instanceof TooMuch) void reply.header('retry-after', String(error.secondsLeft))
}

/** A request that may send its body: whose it is, and where that goes. */
interface Welcome {
  source: KnownSource
  place: BodyPlace
  bodyLimit: number
}

function welcomeOf(welcome: WeakMap<HttpRequest, Welcome>, request: HttpRequest): Welcome {
  const found = welcome.get(request)
  if (found === undefined) throw new Error('A delivery came past the door without a source.')
  return found
}

function isWelcome(place: Place, source: KnownSource, request: HttpRequest): boolean {
  const { provider } = request.params as { provider?: string }
  return place.providers === undefined ? source.provider === provider : place.providers.includes(source.provider)
}

function tokenOf(request: HttpRequest): string {
  const { token: inPath } = request.params as { token?: string }
  if (inPath !== undefined) return inPath
  const { token: inQuery } = request.query as { token?: unknown }
  const inHeader = request.headers['x-parley-token']
  if (typeof inQuery === 'string') return inQuery
  return typeof inHeader === 'string' ? inHeader : ''
}

function traceparentOf(request: HttpRequest): string | undefined {
  const value = request.headers['traceparent']
  return typeof value === 'string' ? value : undefined
}

/** Counts a delivery that was not taken, and gives the error back. */
function counted(request: HttpRequest, error: unknown, source?: KnownSource): unknown {
  const verdict = error instanceof Refused ? error.reason : error instanceof AppError ? error.code : 'unreadable'
  meters.webhooks().add(1, { provider: source?.provider ?? 'none', verdict })
  // A sender we do not know is not worth a log line each: the counter tells, and a flood must not fill the disk (reliability.md F35).
  request.log.debug({ verdict }, 'a delivery was not taken')
  return error
}
