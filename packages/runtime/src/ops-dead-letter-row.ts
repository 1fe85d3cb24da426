import { Id, Timestamp } from '@parley/contracts'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { AppError } from './errors.ts'
import type { OpsTx } from './ops-app.ts'

export const DeadLetterState = z.enum(['retrying', 'waiting', 'dead', 'held', 'redriven', 'dropped', 'recovered'])

/** A dead letter as the operator sees it in a list. */
export const DeadLetter = z.object({
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

/** A whole row of `dead_letters`. */
export interface DeadLetterRow {
  id: string
  organizationId: string
  kind: 'event' | 'job'
  handler: string
  /** Null for a job. */
  lane: number | null
  type: string
  eventId: string
  key: string
  correlationId: string | null
  payload: unknown
  state: z.infer<typeof DeadLetterState>
  errorClass: string | null
  error: string | null
  attempts: number
  firstAt: Date
  lastAt: Date
}

export const toDeadLetter = (service: string, row: DeadLetterRow): z.infer<typeof DeadLetter> => ({
  id: row.id,
  service,
  kind: row.kind,
  handler: row.handler,
  type: row.type,
  eventId: row.eventId,
  key: row.key,
  correlationId: row.correlationId,
  state: row.state,
  errorClass: row.errorClass,
  error: row.error,
  attempts: row.attempts,
  firstAt: row.firstAt.toISOString(),
  lastAt: row.lastAt.toISOString(),
})

export const noDeadLetter = 'There is no dead letter with that id.'

/** Throws AppError not_found. */
export async function findDeadLetter(tx: OpsTx, organizationId: string, id: string): Promise<DeadLetterRow> {
  return selectDeadLetter(tx, organizationId, id, sql``)
}

/** As `findDeadLetter`, and nobody else decides on it until the commit. */
export async function lockDeadLetter(tx: OpsTx, organizationId: string, id: string): Promise<DeadLetterRow> {
  return selectDeadLetter(tx, organizationId, id, sql`for update`)
}

async function selectDeadLetter(tx: OpsTx, organizationId: string, id: string, lock: RawBuilder<unknown>) {
  const found = await sql<DeadLetterRow>`
    select * from dead_letters where organization_id = ${organizationId} and id = ${id} ${lock}`.execute(tx)
  if (!found.rows[0]) throw new AppError('not_found', noDeadLetter)
  return found.rows[0]
}
