import { sql } from 'kysely'
import type { OpsTx } from './ops-app.ts'
import type { DeadLetterRow } from './ops-dead-letter-row.ts'
import { jobSchemaOf } from './schema.ts'

/** One causal chain of one organization. */
interface Chain {
  organizationId: string
  correlationId: string
}

const iso = (moment: Date | null) => moment?.toISOString() ?? null

/** The events that this service stated, in the order they were committed. */
export async function listChainEvents(tx: OpsTx, { organizationId, correlationId }: Chain) {
  const events = await sql<{
    id: string
    type: string
    key: string
    correlationId: string
    envelope: { source: string; time: string; causationid?: string; traceparent?: string }
    createdAt: Date
  }>`
    select id, type, key, correlation_id, envelope, created_at from outbox
    where organization_id = ${organizationId} and correlation_id = ${correlationId} order by xid, seq limit 500`.execute(tx)
  return events.rows.map((row) => ({
    id: row.id,
    type: row.type,
    source: row.envelope.source,
    time: row.envelope.time,
    committedAt: row.createdAt.toISOString(),
    key: row.key,
    causationId: row.envelope.causationid ?? null,
    correlationId: row.correlationId,
    traceparent: row.envelope.traceparent ?? null,
  }))
}

/** Which handlers of this service had the events; of another organization's, nothing. */
export async function listHandled(tx: OpsTx, organizationId: string, ids: readonly string[]) {
  const handled = await sql<{
    eventId: string
    handler: string
    handledAt: Date
  }>`select event_id, handler, handled_at from handled
    where event_id = any(${ids}::uuid[]) and handled_for = ${organizationId} limit 2000`.execute(tx)
  return handled.rows.map((row) => ({ eventId: row.eventId, handler: row.handler, handledAt: row.handledAt.toISOString() }))
}

/** The runs that pg-boss still knows of. */
export async function listChainJobs(tx: OpsTx, serviceName: string, { organizationId, correlationId }: Chain) {
  const schema = jobSchemaOf(serviceName)
  const jobs = await sql<{
    id: string
    name: string
    state: string
    retryCount: number
    createdOn: Date
    startAfter: Date
    startedOn: Date | null
    completedOn: Date | null
    cause: string | null
    error: string | null
  }>`
    select id, name, state, retry_count, created_on, start_after, started_on, completed_on, data->>'causationId' as cause, output->>'message' as error
    from ${sql.raw(schema)}.job_common
    where data->>'correlationId' = ${correlationId} and data->>'organizationId' = ${organizationId} order by created_on limit 200`.execute(
    tx,
  )
  return jobs.rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    attempt: row.retryCount + 1,
    createdAt: row.createdOn.toISOString(),
    dueAt: row.startAfter.toISOString(),
    startedAt: iso(row.startedOn),
    completedAt: iso(row.completedOn),
    causationId: row.cause,
    error: row.error,
  }))
}

/** What was done, or tried, in outside systems. */
export async function listChainEffects(tx: OpsTx, { organizationId, correlationId }: Chain) {
  const effects = await sql<{
    effectKey: string
    kind: string
    state: string
    reference: string | null
    foundByLookup: boolean
    tries: number
    detail: string | null
    intendedAt: Date
    settledAt: Date | null
  }>`
    select * from effects where organization_id = ${organizationId} and correlation_id = ${correlationId} order by intended_at limit 200`.execute(
    tx,
  )
  return effects.rows.map((row) => ({
    key: row.effectKey,
    kind: row.kind,
    state: row.state,
    reference: row.reference,
    foundByLookup: row.foundByLookup,
    tries: row.tries,
    detail: row.detail,
    intendedAt: row.intendedAt.toISOString(),
    settledAt: iso(row.settledAt),
  }))
}

export async function listChainDeadLetters(tx: OpsTx, { organizationId, correlationId }: Chain): Promise<DeadLetterRow[]> {
  const dead = await sql<DeadLetterRow>`
    select * from dead_letters where organization_id = ${organizationId} and correlation_id = ${correlationId} order by first_at limit 200`.execute(
    tx,
  )
  return dead.rows
}
