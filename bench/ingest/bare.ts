import { createBatcher } from '@parley/runtime'
import fastify, { type FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import { serveWorker } from '../lib/worker.ts'
import type { Door } from './webhook.ts'

export interface BareSettings {
  adminUrl: string
  connections: number
  /** `row`: parse, then one insert per request. `group`: no parsing, requests that arrive together share one insert. */
  kind: 'row' | 'group'
}

const table = `create table webhooks (id bigint generated always as identity primary key, received_at timestamptz not null default now(), payload json not null)`

/** The two limits that ingest is held against: Fastify and one table, nothing verified, nothing normalised, no events. */
serveWorker<BareSettings>(async ({ adminUrl, connections, kind }) => {
  const pool = new pg.Pool({ connectionString: adminUrl, max: connections })
  await pool.query(table)
  const server = fastify({ logger: false })
  if (kind === 'row') insertEach(server, pool)
  else insertGroups(server, pool)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const door: Door = { url: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`, path: '/webhooks', headers: {} }
  return {
    ready: door,
    calls: { settle: async () => undefined },
    async close() {
      await server.close()
      await pool.end()
    },
  }
})

function insertEach(server: FastifyInstance, pool: pg.Pool): void {
  server.post('/webhooks', async (request) => {
    await pool.query({
      name: 'insert',
      text: 'insert into webhooks (payload) values ($1)',
      values: [JSON.stringify(request.body)],
    })
    return { received: true }
  })
}

function insertGroups(server: FastifyInstance, pool: pg.Pool): void {
  const batcher = createBatcher<string, undefined>({
    maxItems: 128,
    maxConcurrent: 3,
    async run(payloads) {
      await pool.query({ name: 'insert', text: 'insert into webhooks (payload) select unnest($1::json[])', values: [payloads] })
      return payloads.map(() => undefined)
    },
  })
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  server.post('/webhooks', async (request) => {
    await batcher.add(request.body as string)
    return { received: true }
  })
}
