import { type Event, findEvent } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import type { Session } from './db.ts'
import { type ErrorClass, isOurTrouble } from './errors.ts'
import { looseEnvelope } from './lane-item.ts'
import type { Logger } from './log.ts'
import { describe } from './errors.ts'
import { meters } from './telemetry.ts'

/** An error as it is kept: never with the values it happened on. */
export type ErrorText = ReturnType<typeof describe>

const longest = 2_000

export function errorText(error: ErrorText): string {
  const text = `${error.name}${error.code === undefined ? '' : ` ${error.code}`}: ${error.message}`
  return text.slice(0, longest).replaceAll('\0', '')
}

/** An event that a handler could not take: why, and what happens next. */
export interface ParkedEvent {
  handler: string
  event: Event
  envelope: string
  lane: number
  /** `retrying`: tried again after delayMs. `waiting`: behind an earlier one of its key. `dead`: a person decides. */
  state: 'retrying' | 'waiting' | 'dead'
  error?: ErrorText
  errorClass?: ErrorClass
  attempts: number
  delayMs: number
}

/**
 * Puts an event aside in the open transaction of its organization, so that its lane can go on without losing it. From here on it counts
 * as handled: should the stream bring it again, what became of it stands here.
 */
export async function parkEvent(session: Session<never>, parked: ParkedEvent): Promise<void> {
  session.send(`insert into handled (event_id, handler, handled_for) values ($1, $2, $3) on conflict do nothing`, [
    parked.event.id,
    parked.handler,
    parked.event.organizationId,
  ])
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, correlation_id, payload, state, error_class, error, attempts, next_at)
     values ($1, $2, 'event', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + $14 * interval '1 ms')`,
    [
      randomUUIDv7(),
      parked.event.organizationId,
      parked.handler,
      parked.lane,
      parked.event.key,
      parked.event.id,
      parked.event.type,
      parked.event.correlationId,
      parked.envelope,
      parked.state,
      parked.errorClass ?? null,
      parked.error === undefined ? null : errorText(parked.error),
      parked.attempts,
      parked.delayMs,
    ],
  )
}

/**
 * Records a message that is no event of ours. A version we do not know is a newer sender's, beside the one we understand: skipped.
 * Anything else is kept as a dead letter of the organization it names; one that names none can only be counted and logged.
 */
export async function recordPoison(
  session: Session<never>,
  poison: { lane: number; envelope: string; problem: Error; types: readonly string[]; log: Logger; serviceName: string },
): Promise<void> {
  const wire = looseEnvelope(poison.envelope)
  if (wire.version !== undefined && poison.types.includes(wire.type) && !findEvent(wire.type, wire.version)) return
  poison.log.error({ err: describe(poison.problem), lane: poison.lane, type: wire.type }, 'a message on the bus is no event')
  meters.deadLetters().add(1, { service: poison.serviceName, handler: 'contract' })
  if (wire.organizationId === undefined) return
  session.useOrganization(wire.organizationId)
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, payload, state, error_class, error, attempts)
     select $1, $2::uuid, 'event', 'contract', $3, $4, $5::text, $6, $7::json, 'dead', 'permanent', $8, 1
     where not exists (
       select 1 from dead_letters where organization_id = $2::uuid and handler = 'contract' and event_id = $5::text and payload::text = $7::json::text)`,
    [
      randomUUIDv7(),
      wire.organizationId,
      poison.lane,
      wire.key,
      wire.id,
      wire.type,
      JSON.stringify({ message: poison.envelope.replaceAll('\0', '') }),
      errorText(describe(poison.problem)),
    ],
  )
}

/** In the place of a handler's name: an event that never reached one. */
export const relayHandler = 'relay'

interface Unpublished {
  id: string
  organization_id: string
  lane: number
  type: string
  key: string
  envelope: string
}

/**
 * Keeps an event of the outbox that no try can publish, in the open transaction of its organization. Once for each event: what somebody
 * dropped stays dropped when the stream is filled again, and what was tried again in vain is dead again.
 */
export async function recordUnpublishable(session: Session<never>, row: Unpublished, problem: Error): Promise<void> {
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, lane, key, event_id, type, correlation_id, payload, state, error_class, error, attempts)
     values ($1::uuid, $2, 'event', $3, $4, $5, $1::uuid::text, $6, $7::json->>'correlationid', $7::json, 'dead', 'permanent', $8, 1)
     on conflict (organization_id, id) do update set state = 'dead', last_at = now(), attempts = dead_letters.attempts + 1, error = excluded.error
     where dead_letters.state = 'redriven'`,
    [row.id, row.organization_id, relayHandler, row.lane, row.key, row.type, row.envelope, errorText(describe(problem))],
  )
}

interface JobLetter {
  job: string
  jobId: string
  key: string
  payload: { organizationId: string; correlationId: string; data: unknown }
}

/** Keeps a job until its organization opens again, in the open transaction of that. `once`: one of a key speaks for all. */
export async function recordHeldJob(session: Session<never>, held: JobLetter & { once: boolean }): Promise<void> {
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, key, event_id, type, correlation_id, payload, state, error)
     select $1, $2::uuid, 'job', $3::text, $4::text, $5, $3, $6, $7, 'held', 'Its organization is closed.'
     where not $8 or not exists (
       select 1 from dead_letters where organization_id = $2::uuid and state = 'held' and handler = $3::text and key = $4::text)`,
    [
      randomUUIDv7(),
      held.payload.organizationId,
      held.job,
      held.key,
      held.jobId,
      held.payload.correlationId,
      JSON.stringify(held.payload),
      held.once && held.key !== '',
    ],
  )
}

/** Records a job that no further try will run, in the open transaction of its organization. */
export async function recordDeadJob(
  session: Session<never>,
  dead: JobLetter & { error: ErrorText; errorClass: ErrorClass; attempts: number },
): Promise<void> {
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, key, event_id, type, correlation_id, payload, state, error_class, error, attempts)
     values ($1, $2, 'job', $3, $4, $5, $3, $6, $7, 'dead', $8, $9, $10)`,
    [
      randomUUIDv7(),
      dead.payload.organizationId,
      dead.job,
      dead.key,
      dead.jobId,
      dead.payload.correlationId,
      JSON.stringify(dead.payload),
      dead.errorClass,
      errorText(dead.error),
      dead.attempts,
    ],
  )
}

/** After trouble of our own; what failed for it waits for its end, not for times that grow. */
export const ourTroubleMs = 1_000

/** How long until the next try, and whether there is one (reliability.md D12, D15): a bug gets 3 tries, a passing trouble 8. */
export function nextTry(errorClass: ErrorClass, attempts: number): { dead: true } | { dead: false; delayMs: number } {
  if (isOurTrouble(errorClass)) return { dead: false, delayMs: ourTroubleMs }
  const delaysMs =
    errorClass === 'permanent' ? [] : errorClass === 'bug' ? [1_000, 5_000] : [250, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]
  const delayMs = delaysMs[attempts - 1]
  return delayMs === undefined ? { dead: true } : { dead: false, delayMs }
}
