import { defineEvent } from '@parley/contracts'
import { createBatcher, defineService, insertOutbox, kit, type OutboxRow, outboxRow, performEffect } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { openSink, Order, type Sink } from './task.ts'

const orderShipped = defineEvent({
  type: 'parcel.shipped',
  version: 1,
  key: 'id',
  summary: 'The webhook of the peer benchmark.',
  data: Order,
})

interface PeerApp {
  sink: Sink
}

const { on, job } = kit<PeerApp, object>()

/** The service that does the task our way. Made by a function, because a job's concurrency is part of its declaration. */
export function peerService(options: { sinkUrl: string; concurrency: number; organizationId: string }) {
  const tellCustomer = job('tell-customer', Order, { concurrency: options.concurrency }, async (context) => {
    const { data, app } = context
    await performEffect(context, {
      key: data.id,
      kind: 'bench.message',
      target: data.to,
      request: data,
      whenAbsent: { callAgainAfterMs: 0 },
      async call() {
        const { reference } = await app.sink.send(data)
        return { outcome: 'done', reference, at: new Date() }
      },
      // Asked only after a crash or a lost answer; this run has neither.
      lookUp: async () => ({ outcome: 'absent' }),
      async settle() {},
    })
  })
  const hearShipped = on('hear-shipped', orderShipped, async ({ event, later }) => later(tellCustomer, event.data))

  return defineService<PeerApp, object, object>({
    name: 'peer',
    summary: 'A webhook in, a message out, for the benchmark.',
    config: z.object({}),
    handlers: [hearShipped],
    jobs: [tellCustomer],
    states: [orderShipped],
    migrations: [],
    open: async () => ({ sink: openSink(options.sinkUrl, options.concurrency) }),
    close: (app) => app.sink.close(),
    async plugin(fastify, _app, { database }) {
      const { organizationId } = options
      // As ingest does it: webhooks that arrive together share a commit.
      const batcher = createBatcher<OutboxRow, undefined>({
        maxItems: 128,
        maxConcurrent: 2,
        async run(rows) {
          await database.transaction(organizationId, async (session) => insertOutbox(session as never, rows))
          database.wake()
          return rows.map(() => undefined)
        },
      })
      fastify.post('/hooks', async (request, reply) => {
        const order = Order.parse(request.body)
        const origin = { organizationId, correlationId: randomUUIDv7(), causationId: undefined }
        await batcher.add(outboxRow('peer', origin, orderShipped, order))
        return reply.code(202).send({ accepted: true })
      })
    },
  })
}
