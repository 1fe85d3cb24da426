import { Id } from '@parley/contracts'
import { sql } from 'kysely'
import { z } from 'zod'
import { relayHandler } from './dead-letters.ts'
import { AppError } from './errors.ts'
import { type OpsTx, opsPath, route } from './ops-app.ts'
import {
  DeadLetter,
  type DeadLetterRow,
  DeadLetterState,
  findDeadLetter,
  lockDeadLetter,
  noDeadLetter,
  toDeadLetter,
} from './ops-dead-letter-row.ts'
import { mostCounted } from './page.ts'
import { jobSchemaOf } from './schema.ts'
import type { AuditedChange } from './types.ts'

/** Lists a service's dead letters, shows one, tries one again and gives one up. */
export function deadLetterRoutes(serviceName: string) {
  const base = opsPath(serviceName)
  const params = z.object({ id: Id })

  return [
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
          const items = await sql<DeadLetterRow>`
            select * from dead_letters where organization_id = ${caller.organizationId} and state = ${query.state}
            order by last_at desc, id desc limit ${query.limit} offset ${(query.page - 1) * query.limit}`.execute(tx)
          const total = await sql<{ count: number }>`
            select count(*)::int as count from (
              select 1 from dead_letters where organization_id = ${caller.organizationId} and state = ${query.state} limit ${mostCounted}) as counted`.execute(
            tx,
          )
          return {
            items: items.rows.map((row) => toDeadLetter(serviceName, row)),
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
      reply: DeadLetter.extend({ payload: z.unknown() }),
      async run({ params, caller, read }) {
        const row = await read((tx) => findDeadLetter(tx, caller.organizationId, params.id))
        return { ...toDeadLetter(serviceName, row), payload: row.payload }
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
        const { organizationId } = caller
        const row = await commit(async (tx, { audit }) => {
          const { lane, handler } = await findDeadLetter(tx, organizationId, params.id)
          // Before the row: whoever handles the lane's events takes the two in this order.
          if (lane !== null && handler !== relayHandler) await giveLaneUp(tx, lane)
          const dead = await lockDeadLetter(tx, organizationId, params.id)
          if (dead.state !== 'dead')
            throw new AppError('conflict', `Only a dead one can be tried again; this one is ${dead.state}.`)
          const state = await redriven(tx, serviceName, dead)
          await sql`
            update dead_letters set state = ${state}, next_at = now(), last_at = now(), attempts = 0, settled_by = ${caller.actor.id}
            where organization_id = ${organizationId} and id = ${params.id}`.execute(tx)
          if (state === 'waiting') await promoteFirst(tx, dead)
          const after = await findDeadLetter(tx, organizationId, params.id)
          audit(settled(dead, after))
          return after
        })
        app.laneGivenUp()
        app.retryNow()
        return toDeadLetter(serviceName, row)
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
          const dead = await lockDeadLetter(tx, caller.organizationId, params.id)
          if (dead.state !== 'dead' && dead.state !== 'held')
            throw new AppError('conflict', `Only a dead or a held one can be dropped; this one is ${dead.state}.`)
          const updated = await sql<DeadLetterRow>`
            update dead_letters set state = 'dropped', last_at = now(), settled_by = ${caller.actor.id}
            where organization_id = ${caller.organizationId} and id = ${params.id} returning *`.execute(tx)
          const dropped = updated.rows[0] as DeadLetterRow
          audit(settled(dead, dropped))
          return toDeadLetter(serviceName, dropped)
        })
      },
    }),
  ]
}

/** What the audit log says of a dead letter that somebody decided on: never its payload. */
const settled = (before: DeadLetterRow, after: DeadLetterRow): AuditedChange => ({
  resourceType: 'dead_letter',
  resourceId: after.id,
  before: { state: before.state, handler: before.handler, type: before.type },
  after: { state: after.state },
})

/** What a dead letter becomes when somebody wants it tried again. */
async function redriven(tx: OpsTx, serviceName: string, dead: DeadLetterRow): Promise<'redriven' | 'waiting'> {
  if (dead.kind === 'job') await requeue(tx, serviceName, dead)
  else if (dead.handler === relayHandler) await stateAgain(tx, dead)
  else return 'waiting'
  return 'redriven'
}

/**
 * Makes the lane somebody's anew, who then learns from the database what waits in it: its holder, maybe another replica, would let later
 * events of the key pass by the one that is tried again. What it is just handling is refused, and handled by the next.
 */
async function giveLaneUp(tx: OpsTx, lane: number): Promise<void> {
  await sql`update lane_leases set holder = null, epoch = epoch + 1, expires_at = now() where lane = ${lane}`.execute(tx)
}

/** Of all that waits of the key, the earliest is tried first, and the others after it. */
async function promoteFirst(tx: OpsTx, { organizationId, handler, key }: DeadLetterRow): Promise<void> {
  await sql`
    update dead_letters d set state = case when d.id = o.first then 'retrying' else 'waiting' end, next_at = now()
    from (select id, first_value(id) over (order by place) as first from dead_letters
      where organization_id = ${organizationId} and handler = ${handler} and key = ${key} and kind = 'event' and state in ('retrying', 'waiting')) o
    where d.organization_id = ${organizationId} and d.id = o.id`.execute(tx)
}

/** An event that could not be published goes into the outbox once more, as it was: what refused it may take more now. */
async function stateAgain(tx: OpsTx, { organizationId, id }: DeadLetterRow): Promise<void> {
  await sql`
    insert into outbox (id, organization_id, lane, type, key, correlation_id, envelope)
    select id, organization_id, lane, type, key, coalesce(correlation_id, ''), payload from dead_letters
    where organization_id = ${organizationId} and id = ${id}`.execute(tx)
}

/** A given-up job becomes a new run of its queue, with the same data. */
async function requeue(tx: OpsTx, serviceName: string, dead: DeadLetterRow): Promise<void> {
  const schema = sql.raw(jobSchemaOf(serviceName))
  const inserted = await sql`
    insert into ${schema}.job_common (name, data, singleton_key, expire_seconds, deletion_seconds, keep_until, retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds)
    select q.name, ${JSON.stringify(dead.payload)}::jsonb, ${dead.key || null}, q.expire_seconds, q.deletion_seconds, now() + q.retention_seconds * interval '1s',
      q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max, q.policy, q.dead_letter, q.heartbeat_seconds
    from ${schema}.queue q where q.name = ${dead.handler}
    on conflict do nothing returning id`.execute(tx)
  if (inserted.rows.length === 0)
    throw new AppError('conflict', 'A run of that job is waiting already, or the job does not exist any more.')
}
