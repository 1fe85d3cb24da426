import { encodeToken, Id, Timestamp } from '@parley/contracts'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Bus } from './bus.ts'
import { AppError } from './errors.ts'
import { jobSchemaOf } from './schema.ts'
import { type AuditedChange, kit, type Route, type Tx } from './types.ts'

/** What the operator's routes of a service reach. */
interface OpsApp {
  bus: Bus
  retryNow(): void
}

const DeadLetterState = z.enum(['retrying', 'waiting', 'dead', 'held', 'redriven', 'dropped', 'recovered'])
const DeadLetter = z.object({
  id: Id,
  service: z.string(),
  kind: z.enum(['event', 'job']),
  handler: z.string(),
  type: z.string(),
  eventId: z.string(),
  key: z.string(),
  correlationId: z.string().nullable(),
  state: DeadLetterState,
  errorClass: z.string().nullable(),
  error: z.string().nullable(),
  attempts: z.int(),
  firstAt: Timestamp,
  lastAt: Timestamp,
})
const DeadLetterDetail = DeadLetter.extend({ payload: z.unknown() })

const TraceEvent = z.object({
  id: Id,
  type: z.string(),
  source: z.string(),
  time: Timestamp,
  committedAt: Timestamp,
  key: z.string(),
  causationId: z.string().nullable(),
  correlationId: z.string(),
  traceparent: z.string().nullable(),
})
const Trace = z.object({
  service: z.string(),
  events: z.array(TraceEvent),
  handled: z.array(z.object({ eventId: Id, handler: z.string(), handledAt: Timestamp })),
  jobs: z.array(
    z.object({
      id: Id,
      name: z.string(),
      state: z.string(),
      attempt: z.int(),
      createdAt: Timestamp,
      dueAt: Timestamp,
      startedAt: Timestamp.nullable(),
      completedAt: Timestamp.nullable(),
      causationId: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
  effects: z.array(
    z.object({
      key: z.string(),
      kind: z.string(),
      state: z.string(),
      reference: z.string().nullable(),
      foundByLookup: z.boolean(),
      tries: z.int(),
      detail: z.string().nullable(),
      intendedAt: Timestamp,
      settledAt: Timestamp.nullable(),
    }),
  ),
  deadLetters: z.array(DeadLetter),
})

interface Row {
  [column: string]: unknown
}
const iso = (value: unknown) => (value === null || value === undefined ? null : new Date(value as Date).toISOString())

const noDeadLetter = 'There is no dead letter with that id.'

/** The operator's routes that every service has: its dead letters, its part of a causal chain, replay of its outbox. */
export function opsRoutes(serviceName: string): Route<never, never>[] {
  const { route } = kit<OpsApp, Record<string, never>>()
  const base = `/v1/ops/${serviceName}`
  const params = z.object({ id: Id })

  const rowToDeadLetter = (row: Row) => ({
    id: row['id'] as string,
    service: serviceName,
    kind: row['kind'] as 'event' | 'job',
    handler: row['handler'] as string,
    type: row['type'] as string,
    eventId: row['eventId'] as string,
    key: row['key'] as string,
    correlationId: row['correlationId'] as string | null,
    state: row['state'] as z.infer<typeof DeadLetterState>,
    errorClass: row['errorClass'] as string | null,
    error: row['error'] as string | null,
    attempts: row['attempts'] as number,
    firstAt: iso(row['firstAt']) as string,
    lastAt: iso(row['lastAt']) as string,
  })

  /** What the audit log says of a dead letter that somebody decided on: never its payload. */
  const settled = (before: Row, after: Row): AuditedChange => ({
    resourceType: 'dead_letter',
    resourceId: after['id'] as string,
    before: { state: before['state'], handler: before['handler'], type: before['type'] },
    after: { state: after['state'] },
  })

  async function findDeadLetter(tx: Tx<Record<string, never>>, organizationId: string, id: string): Promise<Row> {
    const found =
      await sql<Row>`select * from dead_letters where organization_id = ${organizationId} and id = ${id} for update`.execute(tx)
    if (!found.rows[0]) throw new AppError('not_found', noDeadLetter)
    return found.rows[0]
  }

  const routes = [
    route({
      method: 'GET',
      path: `${base}/dead-letters`,
      summary: `Events and jobs that ${serviceName} could not take, newest first.`,
      scope: 'ops:read',
      query: z.strictObject({
        state: DeadLetterState.default('dead'),
        limit: z.coerce.number().int().min(1).max(100).default(25),
        page: z.coerce.number().int().min(1).max(1_000).default(1),
      }),
      reply: z.object({ items: z.array(DeadLetter), total: z.int(), page: z.int(), limit: z.int() }),
      async run({ query, caller, read }) {
        return read(async (tx) => {
          const items = await sql<Row>`
            select * from dead_letters where organization_id = ${caller.organizationId} and state = ${query.state}
            order by last_at desc, id desc limit ${query.limit} offset ${(query.page - 1) * query.limit}`.execute(tx)
          const total = await sql<{ count: number }>`
            select count(*)::int as count from dead_letters where organization_id = ${caller.organizationId} and state = ${query.state}`.execute(
            tx,
          )
          return {
            items: items.rows.map(rowToDeadLetter),
            total: total.rows[0]?.count ?? 0,
            page: query.page,
            limit: query.limit,
          }
        })
      },
    }),
    route({
      method: 'GET',
      path: `${base}/dead-letters/:id`,
      summary: 'One dead letter with its payload and error.',
      scope: 'ops:read',
      // The payload is an event's or a job's: it may hold what a customer wrote.
      personalData: 'dead_letter',
      refuses: { not_found: noDeadLetter },
      params,
      reply: DeadLetterDetail,
      async run({ params, caller, read }) {
        const row = await read((tx) => findDeadLetter(tx, caller.organizationId, params.id))
        return { ...rowToDeadLetter(row), payload: row['payload'] }
      },
    }),
    route({
      method: 'POST',
      path: `${base}/dead-letters/:id/redrive`,
      summary: 'Try a dead letter once more, now.',
      scope: 'ops:write',
      refuses: { not_found: noDeadLetter, conflict: 'Only a dead one can be tried again; this one is retrying.' },
      params,
      reply: DeadLetter,
      async run({ params, caller, app, commit }) {
        const row = await commit(async (tx, { audit }) => {
          const dead = await findDeadLetter(tx, caller.organizationId, params.id)
          if (dead['state'] !== 'dead')
            throw new AppError('conflict', `Only a dead one can be tried again; this one is ${String(dead['state'])}.`)
          if (dead['kind'] === 'job') await requeue(tx, serviceName, dead)
          const updated = await sql<Row>`
            update dead_letters set state = ${dead['kind'] === 'job' ? 'redriven' : 'retrying'}, next_at = now(), last_at = now(), attempts = 0, settled_by = ${caller.actor.id}
            where organization_id = ${caller.organizationId} and id = ${params.id} returning *`.execute(tx)
          audit(settled(dead, updated.rows[0] as Row))
          return updated.rows[0] as Row
        })
        app.retryNow()
        return rowToDeadLetter(row)
      },
    }),
    route({
      method: 'POST',
      path: `${base}/dead-letters/:id/drop`,
      summary: 'Give a dead letter up for good; it stays listed as dropped.',
      scope: 'ops:write',
      refuses: { not_found: noDeadLetter, conflict: 'Only a dead one can be dropped; this one is retrying.' },
      params,
      reply: DeadLetter,
      async run({ params, caller, commit }) {
        return commit(async (tx, { audit }) => {
          const dead = await findDeadLetter(tx, caller.organizationId, params.id)
          if (dead['state'] !== 'dead' && dead['state'] !== 'held')
            throw new AppError('conflict', `Only a dead or a held one can be dropped; this one is ${String(dead['state'])}.`)
          const updated = await sql<Row>`
            update dead_letters set state = 'dropped', last_at = now(), settled_by = ${caller.actor.id}
            where organization_id = ${caller.organizationId} and id = ${params.id} returning *`.execute(tx)
          audit(settled(dead, updated.rows[0] as Row))
          return rowToDeadLetter(updated.rows[0] as Row)
        })
      },
    }),
    route({
      method: 'POST',
      path: `${base}/replay`,
      summary: `Publish ${serviceName}'s events since a moment to the broker again; handlers that had them do nothing.`,
      scope: 'ops:write',
      body: z.strictObject({ since: Timestamp, limit: z.int().min(1).max(100_000).default(100_000) }),
      reply: z.object({ service: z.string(), published: z.int(), more: z.boolean() }),
      async run({ body, caller, app, read, commit }) {
        await commit(async (_tx, { audit }) =>
          audit({
            resourceType: 'outbox',
            resourceId: serviceName,
            before: null,
            after: { replayedSince: body.since, limit: body.limit },
          }),
        )
        let after = '0'
        let published = 0
        while (published < body.limit) {
          const page = await read((tx) =>
            sql<{ seq: string; id: string; lane: number; type: string; key: string; envelope: string }>`
              select seq, id, lane, type, key, envelope::text as envelope from outbox
              where organization_id = ${caller.organizationId} and created_at >= ${body.since} and seq > ${after} order by seq limit 500`.execute(
              tx,
            ),
          )
          for (const row of page.rows) {
            await app.bus.publish(
              `${app.bus.root}.${row.lane}.${row.type}.${encodeToken(caller.organizationId)}.${encodeToken(row.key)}`,
              row.id,
              row.envelope,
            )
            after = row.seq
            published++
          }
          if (page.rows.length < 500) return { service: serviceName, published, more: false }
        }
        return { service: serviceName, published, more: true }
      },
    }),
    route({
      method: 'GET',
      path: `${base}/correlations/:id`,
      summary: 'Which chain an id belongs to: of an event, a receipt, or anything an event of the last 7 days mentions.',
      scope: 'ops:read',
      params: z.object({ id: z.string().min(4).max(256) }),
      reply: z.object({ correlationIds: z.array(z.string()) }),
      async run({ params, caller, read }) {
        return read(async (tx) => {
          const direct = await sql<{ correlationId: string }>`
            select distinct correlation_id from outbox where organization_id = ${caller.organizationId} and (correlation_id = ${params.id} or id::text = ${params.id}) limit 5`.execute(
            tx,
          )
          if (direct.rows.length > 0) return { correlationIds: direct.rows.map((row) => row.correlationId) }
          const mentioned = await sql<{ correlationId: string }>`
            select correlation_id, max(seq) as last from outbox
            where organization_id = ${caller.organizationId} and position(${JSON.stringify(params.id)} in envelope::text) > 0
            group by correlation_id order by last desc limit 5`.execute(tx)
          return { correlationIds: mentioned.rows.map((row) => row.correlationId) }
        })
      },
    }),
    route({
      method: 'POST',
      path: `${base}/trace`,
      summary: `What ${serviceName} stated, handled, ran and gave up in one causal chain.`,
      scope: 'ops:read',
      body: z.strictObject({ correlationId: z.string().min(1).max(64), eventIds: z.array(Id).max(2_000).default([]) }),
      reply: Trace,
      run: ({ body, caller, read }) => read((tx) => traceOf(tx, serviceName, caller.organizationId, body, rowToDeadLetter)),
    }),
  ]
  return routes as unknown as Route<never, never>[]
}

async function traceOf(
  tx: Tx<Record<string, never>>,
  serviceName: string,
  organizationId: string,
  body: { correlationId: string; eventIds: string[] },
  rowToDeadLetter: (row: Row) => z.infer<typeof DeadLetter>,
): Promise<z.infer<typeof Trace>> {
  const schema = jobSchemaOf(serviceName)
  const events = await sql<Row & { envelope: Record<string, string> }>`
    select id, type, key, correlation_id, envelope, created_at from outbox
    where organization_id = ${organizationId} and correlation_id = ${body.correlationId} order by xid, seq limit 500`.execute(tx)
  const ids = [...new Set([...body.eventIds, ...events.rows.map((row) => row['id'] as string)])]
  const handled =
    await sql<Row>`select event_id, handler, handled_at from handled where event_id = any(${ids}::uuid[]) limit 2000`.execute(tx)
  const jobs = await sql<Row>`
    select id, name, state, retry_count, created_on, start_after, started_on, completed_on, data->>'causationId' as cause, output->>'message' as error
    from ${sql.raw(schema)}.job_common
    where data->>'correlationId' = ${body.correlationId} and data->>'organizationId' = ${organizationId} order by created_on limit 200`.execute(
    tx,
  )
  const effects = await sql<Row>`
    select * from effects where organization_id = ${organizationId} and correlation_id = ${body.correlationId} order by intended_at limit 200`.execute(
    tx,
  )
  const dead = await sql<Row>`
    select * from dead_letters where organization_id = ${organizationId} and correlation_id = ${body.correlationId} order by first_at limit 200`.execute(
    tx,
  )
  return {
    service: serviceName,
    events: events.rows.map((row) => ({
      id: row['id'] as string,
      type: row['type'] as string,
      source: row.envelope['source'] as string,
      time: row.envelope['time'] as string,
      committedAt: iso(row['createdAt']) as string,
      key: row['key'] as string,
      causationId: row.envelope['causationid'] ?? null,
      correlationId: row['correlationId'] as string,
      traceparent: row.envelope['traceparent'] ?? null,
    })),
    handled: handled.rows.map((row) => ({
      eventId: row['eventId'] as string,
      handler: row['handler'] as string,
      handledAt: iso(row['handledAt']) as string,
    })),
    jobs: jobs.rows.map((row) => ({
      id: row['id'] as string,
      name: row['name'] as string,
      state: row['state'] as string,
      attempt: (row['retryCount'] as number) + 1,
      createdAt: iso(row['createdOn']) as string,
      dueAt: iso(row['startAfter']) as string,
      startedAt: iso(row['startedOn']),
      completedAt: iso(row['completedOn']),
      causationId: row['cause'] as string | null,
      error: row['error'] as string | null,
    })),
    effects: effects.rows.map((row) => ({
      key: row['effectKey'] as string,
      kind: row['kind'] as string,
      state: row['state'] as string,
      reference: row['reference'] as string | null,
      foundByLookup: row['foundByLookup'] as boolean,
      tries: row['tries'] as number,
      detail: row['detail'] as string | null,
      intendedAt: iso(row['intendedAt']) as string,
      settledAt: iso(row['settledAt']),
    })),
    deadLetters: dead.rows.map(rowToDeadLetter),
  }
}

/** A given-up job becomes a new run of its queue, with the same data. */
async function requeue(tx: Tx<Record<string, never>>, serviceName: string, dead: Row): Promise<void> {
  const schema = sql.raw(jobSchemaOf(serviceName))
  const inserted = await sql<Row>`
    insert into ${schema}.job_common (name, data, singleton_key, expire_seconds, deletion_seconds, keep_until, retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds)
    select q.name, ${JSON.stringify(dead['payload'])}::jsonb, ${(dead['key'] as string) || null}, q.expire_seconds, q.deletion_seconds, now() + q.retention_seconds * interval '1s',
      q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max, q.policy, q.dead_letter, q.heartbeat_seconds
    from ${schema}.queue q where q.name = ${dead['handler']}
    on conflict do nothing returning id`.execute(tx)
  if (inserted.rows.length === 0)
    throw new AppError('conflict', 'A run of that job is waiting already, or the job does not exist any more.')
}
