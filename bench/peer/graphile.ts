import fastify from 'fastify'
import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import { serveWorker } from '../lib/worker.ts'
import { openSink, Order, type PeerSettings } from './task.ts'

const tables = `create table effects (effect_key text primary key, target text not null, state text not null, reference text, tries int not null default 1,
  intended_at timestamptz not null default now(), settled_at timestamptz)`

/**
 * The same task with Fastify and graphile-worker, as its documentation advises for throughput (worker.graphile.org/docs/performance):
 * a local queue and batched completion, prepared statements, a pool as large as ours. The effect is as careful as ours: the
 * intent is stored before the call and its result after, under a unique key.
 */
serveWorker<PeerSettings>(async ({ adminUrl, sinkUrl, concurrency, connections }) => {
  const pgPool = new pg.Pool({ connectionString: adminUrl, max: connections })
  const report = (error: Error) => void process.stderr.write(`${error.message}\n`)
  pgPool.on('error', report)
  pgPool.on('connect', (client) => client.on('error', report))
  // A line for each finished job, its default, would be unfair: ours logs none.
  const logger = new Logger(() => (level, message) => {
    if (level === 'error') process.stderr.write(`${message}\n`)
  })
  await pgPool.query(tables)
  await runMigrations({ pgPool, logger })
  const sink = openSink(sinkUrl, concurrency)
  const runner = await run({
    pgPool,
    logger,
    preset: {
      worker: {
        logger,
        concurrentJobs: concurrency,
        maxPoolSize: connections,
        localQueue: { size: 4 * concurrency },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
    taskList: {
      async tellCustomer(payload) {
        const order = Order.parse(payload)
        const intent = await pgPool.query<{ state: string }>({
          name: 'intent',
          text: `insert into effects (effect_key, target, state) values ($1, $2, 'intent')
            on conflict (effect_key) do update set tries = effects.tries + 1 returning state`,
          values: [order.id, order.to],
        })
        if (intent.rows[0]?.state === 'done') return
        const { reference } = await sink.send(order)
        await pgPool.query({
          name: 'result',
          text: `update effects set state = 'done', reference = $2, settled_at = now() where effect_key = $1`,
          values: [order.id, reference],
        })
      },
    },
    noHandleSignals: true,
  })
  const utils = await makeWorkerUtils({ pgPool, logger })
  const door = fastify({ logger: false })
  door.post('/hooks', async (request, reply) => {
    const order = Order.parse(request.body)
    await utils.addJob('tellCustomer', order)
    return reply.code(202).send({ accepted: true })
  })
  await door.listen({ host: '127.0.0.1', port: 0 })
  return {
    ready: `http://127.0.0.1:${(door.server.address() as AddressInfo).port}`,
    async close() {
      await door.close()
      await runner.stop()
      await utils.release()
      await sink.close()
      await pgPool.end()
    },
  }
})
