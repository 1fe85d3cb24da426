import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { laneCount, subjectOf } from '@parley/contracts'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { randomUUIDv7 } from 'node:crypto'
import pg from 'pg'
import { serveWorker } from '../lib/worker.ts'
import type { HopSettings } from './parley.ts'

interface Tables {
  handled: { event_id: string; handler: string }
  answers: { organization_id: string; id: string; topic: string; text: string }
  outbox: {
    id: string
    organization_id: string
    lane: number
    type: string
    key: string
    correlation_id: string
    envelope: string
  }
}
interface Wire {
  id: string
  organizationid: string
  subject: string
  correlationid: string
  data: { topic: string; number: number; text: string }
}

/** The tables that the loop writes: the columns and keys of the runtime's, without row-level security and partitions. */
const tables = `
create table handled (event_id uuid not null, handler text not null, handled_at timestamptz not null default now(), primary key (event_id, handler));
create table answers (organization_id uuid not null, id uuid not null, topic text not null, text text not null, primary key (organization_id, id));
create table outbox (seq bigint generated always as identity primary key, id uuid not null, organization_id uuid not null, lane smallint not null,
  type text not null, key text not null, correlation_id text not null, envelope json not null, created_at timestamptz not null default now());`

const type = 'question.answered'

/**
 * What one writes without a framework and without losing anything: a durable consumer per lane, each message in order, one
 * transaction for it, its event published under its id, and then the acknowledgement that the broker confirms.
 */
serveWorker<HopSettings>(async ({ adminUrl, natsUrl, root, events }) => {
  const pool = new pg.Pool({ connectionString: adminUrl, max: laneCount })
  await pool.query(tables)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  const nc = await connect({ servers: natsUrl, name: 'bench-bare' })
  const js = jetstream(nc)
  const jsm = await jetstreamManager(nc)
  const stream = root.toUpperCase()
  const progress = { handled: 0, firstAt: 0, lastAt: 0 }

  async function handle(lane: number, message: JsMsg): Promise<void> {
    if (progress.firstAt === 0) progress.firstAt = performance.timeOrigin + performance.now()
    const event = message.json<Wire>()
    const { organizationid: organizationId, subject: key, data } = event
    const id = randomUUIDv7()
    const envelope = JSON.stringify({
      ...event,
      id,
      type,
      source: 'hop',
      time: new Date().toISOString(),
      causationid: event.id,
      data: { ...data, answers: event.id },
    })
    const isNew = await db.transaction().execute(async (tx) => {
      await sql`select set_config('app.organization_id', ${organizationId}, true)`.execute(tx)
      const first = await tx
        .insertInto('handled')
        .values({ event_id: event.id, handler: 'answer-question' })
        .onConflict((conflict) => conflict.doNothing())
        .returning('event_id')
        .execute()
      if (first.length === 0) return false
      await tx
        .insertInto('answers')
        .values({ organization_id: organizationId, id: event.id, topic: data.topic, text: data.text })
        .execute()
      await tx
        .insertInto('outbox')
        .values({ id, organization_id: organizationId, lane, type, key, correlation_id: event.correlationid, envelope })
        .execute()
      return true
    })
    if (isNew) await js.publish(subjectOf(root, type, organizationId, key), envelope, { msgID: id })
    await message.ackAck()
    progress.handled++
    if (progress.handled === events) progress.lastAt = performance.timeOrigin + performance.now()
  }

  const loops = Array.from({ length: laneCount }, async (_, lane) => {
    const name = `lane-${lane}`
    await jsm.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      filter_subjects: [`${root}.${lane}.question.asked.>`],
    })
    const consumer = await js.consumers.get(stream, name)
    const messages = await consumer.consume({ max_messages: 128 })
    for await (const message of messages) await handle(lane, message)
  })
  let closing = false
  Promise.all(loops).catch((error: unknown) => {
    if (closing) return
    process.stderr.write(`The bare loop failed: ${String(error)}\n`)
    process.exit(1)
  })

  return {
    calls: { progress: async () => progress },
    async close() {
      closing = true
      await nc.close()
      await pool.end()
    },
  }
})
