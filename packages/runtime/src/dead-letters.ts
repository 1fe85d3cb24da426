import type { Event } from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import type { Session } from './db.ts'
import type { describe, ErrorClass } from './errors.ts'

type Described = ReturnType<typeof describe>

const longest = 2_000
const errorText = (error: Described) => `${error.name}${error.code === undefined ? '' : ` ${error.code}`}: ${error.message}`.slice(0, longest)

/** An event that a handler could not take: why, and what happens next. */
export interface ParkedEvent {
  handler: string
  event: Event
  envelope: string
  lane: number
  /** `retrying`: tried again at nextAt. `waiting`: behind an earlier one of its key. `dead`: a person decides. */
  state: 'retrying' | 'waiting' | 'dead'
  error: Described | undefined
  errorClass: ErrorClass | undefined
  attempts: number
  delayMs: number
}

/** Puts an event aside in the open transaction of its organization, so that its lane can go on without losing it. */
export async function parkEvent(session: Session<never>, parked: ParkedEvent): Promise<void> {
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

/** Records a job that no further try will run, in the open transaction of its organization. */
export async function recordDeadJob(
  session: Session<never>,
  dead: {
    job: string
    jobId: string
    payload: { organizationId: string; correlationId: string; data: unknown }
    error: Described
    errorClass: ErrorClass
    attempts: number
  },
): Promise<void> {
  await session.query(
    `insert into dead_letters (id, organization_id, kind, handler, key, event_id, type, correlation_id, payload, state, error_class, error, attempts)
     values ($1, $2, 'job', $3, '', $4, $3, $5, $6, 'dead', $7, $8, $9)`,
    [
      randomUUIDv7(),
      dead.payload.organizationId,
      dead.job,
      dead.jobId,
      dead.payload.correlationId,
      JSON.stringify(dead.payload),
      dead.errorClass,
      errorText(dead.error),
      dead.attempts,
    ],
  )
}

/** How long until the next try, and whether there is one (reliability.md D12, D15): a bug gets 3 tries, a passing trouble 8. */
export function nextTry(errorClass: ErrorClass, attempts: number): { dead: true } | { dead: false; delayMs: number } {
  const delaysMs = errorClass === 'permanent' ? [] : errorClass === 'bug' ? [1_000, 5_000] : [250, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]
  const delayMs = delaysMs[attempts - 1]
  return delayMs === undefined ? { dead: true } : { dead: false, delayMs }
}
