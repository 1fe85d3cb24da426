import type { ServerResponse } from 'node:http'
import { AppError, type Authenticate, type Logger, type RecordRead, watchRight } from '@parley/runtime'
import type { FastifyInstance } from 'fastify'
import type { App } from '../app.ts'
import type { StreamedEvent } from '../db/outbox.ts'
import { type Cursor, formatCursor, parseCursor } from './cursor.ts'
import type { From } from './feed.ts'

/** Well below the 15 s after which a silent connection is cut. */
const heartbeatMs = 5_000
/** The outbox keeps a week. */
const rememberedMs = 6 * 86_400_000
/** What may wait in memory for one reader; one who falls further behind is cut off and resumes by its Last-Event-ID. */
const maxBufferedBytes = 1024 * 1024

/**
 * `GET /v1/stream`: the organization's events as they are committed, as server-sent events. Each has an id; a reader that
 * comes back with it in `Last-Event-ID` misses nothing. The event `reset` tells it to load its lists anew.
 */
export async function streamPlugin(
  fastify: FastifyInstance,
  app: App,
  context: { authenticate: Authenticate; recordRead: RecordRead; log: Logger },
): Promise<void> {
  const open = new Set<ServerResponse>()

  fastify.get('/v1/stream', async (request, reply) => {
    const caller = await context.authenticate(request, 'conversations:read')
    const from = resumeFrom(request.headers['last-event-id'], app.now())
    const response = reply.raw
    const outlet = outletOf(response, context.log, app.now)
    // Before the answer begins, so that a refusal is still an ordinary error.
    const end = await app.streams.subscribe(caller.organizationId, from, outlet)
    const userAgent = request.headers['user-agent']?.slice(0, 512) ?? null
    const call = { requestId: request.id, actor: caller.actor, from: { ip: request.ip, userAgent }, action: 'GET /v1/stream' }
    try {
      // One entry for the whole of it: how many messages it will show is not known when it begins.
      await context.recordRead({
        organizationId: caller.organizationId,
        call,
        resourceType: 'message',
        resourceId: null,
        count: 0,
      })
    } catch (error) {
      end()
      throw error
    }
    reply.hijack()
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      connection: 'keep-alive',
      // nginx would hold the events back.
      'x-accel-buffering': 'no',
    })
    outlet.start()
    open.add(response)
    const heartbeat = setInterval(() => outlet.write(': still here\n\n'), heartbeatMs)
    const right = watchRight(context.authenticate, request, 'conversations:read', caller)
    right.signal.addEventListener('abort', () => response.end())
    response.once('close', () => {
      right.stop()
      clearInterval(heartbeat)
      open.delete(response)
      end()
    })
    // The reader may have left while we caught up.
    if (response.destroyed) response.emit('close')
  })

  // A stream never ends by itself: without this the server would wait for its readers for ever.
  fastify.addHook('preClose', async () => {
    for (const response of open) response.end()
    app.streams.close()
  })
}

function resumeFrom(header: string | string[] | undefined, now: Date): From {
  if (header === undefined || header === '') return undefined
  const told = typeof header === 'string' ? parseCursor(header) : undefined
  if (!told) throw new AppError('invalid', 'Last-Event-ID: not an id of this stream.')
  const isForgotten = told.at !== null && now.getTime() - told.at.getTime() > rememberedMs
  return isForgotten ? 'forgotten' : told.cursor
}

/** Writes events to one reader; before the answer has begun they are kept. */
function outletOf(response: ServerResponse, log: Logger, now: () => Date) {
  let early: string[] | undefined = ['retry: 2000\n\n']
  const write = (text: string): boolean => {
    if (early) {
      early.push(text)
      return true
    }
    if (response.destroyed || response.writableEnded) return false
    response.write(text)
    if (response.writableLength <= maxBufferedBytes) return true
    response.destroy()
    return false
  }
  return {
    write,
    start(): void {
      const texts = early ?? []
      early = undefined
      write(texts.join(''))
    },
    take: (event: StreamedEvent) => write(eventText(event)),
    begins: (at: Cursor) => void write(`id: ${formatCursor(at, now())}\n\n`),
    reset: (at: Cursor) => void write(`id: ${formatCursor(at, now())}\nevent: reset\ndata: {}\n\n`),
    failed: (error: unknown) => log.warn({ err: error }, 'The events for a live stream could not be read; it tries again.'),
  }
}

/** JSON has no raw line ends, so one data line holds it. */
export function eventText({ cursor, envelope: { id, type, time, data } }: StreamedEvent): string {
  return `id: ${formatCursor(cursor, new Date(time))}\nevent: ${type}\ndata: ${JSON.stringify({ id, type, time, data })}\n\n`
}
