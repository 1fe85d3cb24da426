import {
  type Actor,
  changeAudited,
  ContractError,
  TooLarge,
  type Event,
  type EventType,
  findEvent,
  fitsKey,
  keyProblem,
  laneOf,
  toEnvelope,
  UnfitKey,
} from '@parley/contracts'
import { randomUUIDv7 } from 'node:crypto'
import { auditedValues } from './audit-values.ts'
import type { Session } from './db.ts'
import type { JobInserter, JobRequest } from './job-insert.ts'
import { currentTraceparent } from './telemetry.ts'
import type { AuditedChange, CallOrigin, CommitTools, JobRef, LaterOptions, SharedWork, Tx } from './types.ts'

/** Where a unit of work comes from; every event and job of it carries this on. */
export interface Origin {
  organizationId: string
  correlationId: string
  causationId: string | undefined
  /** The call behind it, for the audit log; without one, the service acted by itself. */
  call?: Call | undefined
}

/** What the audit log says of a call. */
export interface Call {
  requestId: string
  actor: Actor
  from: CallOrigin
  /** `POST /v1/members`. */
  action: string
}

export interface OutboxRow {
  id: string
  organizationId: string
  lane: number
  type: string
  key: string
  correlationId: string
  envelope: string
}

/** Bytes that an event may take in the outbox and on the bus. */
const largestEventBytes = 64 * 1024

/** The outbox row of one event. Throws ContractError when the data breaks the contract, is too large, or has a key that no subject holds. */
export function outboxRow<Data>(
  source: string,
  origin: Origin,
  type: EventType<Data>,
  data: Data,
  traceparent = currentTraceparent(),
  at: Date = new Date(),
): OutboxRow {
  if (findEvent(type.type, type.version) === undefined) throw new ContractError(`${type.type} is not a declared event.`)
  const parsed = type.schema.safeParse(data)
  if (!parsed.success) throw new ContractError(`${type.type} cannot be stated: ${parsed.error.message}`)
  const key = type.keyOf(parsed.data)
  // Refused before the commit: once in the outbox it would be everybody's trouble.
  if (!fitsKey(key)) throw new UnfitKey(`${type.keyField} ${keyProblem}.`)
  const event: Event<Data> = {
    id: randomUUIDv7(),
    type: type.type,
    version: type.version,
    source,
    time: at.toISOString(),
    key,
    organizationId: origin.organizationId,
    causationId: origin.causationId,
    correlationId: origin.correlationId,
    traceparent,
    data: parsed.data,
  }
  const envelope = JSON.stringify(toEnvelope(event))
  if (Buffer.byteLength(envelope) > largestEventBytes)
    throw new TooLarge(`${type.type} would take more than ${largestEventBytes} bytes as it is stored.`)
  return {
    id: event.id,
    organizationId: event.organizationId,
    lane: laneOf(event.organizationId, event.key),
    type: event.type,
    key: event.key,
    correlationId: event.correlationId,
    envelope,
  }
}

/** What every audit entry says of its call; nobody's, when the service acted by itself. */
export function auditedCall(source: string, origin: Origin, at: Date) {
  const { call } = origin
  return {
    requestId: call?.requestId ?? origin.correlationId,
    actor: call?.actor ?? { kind: 'system' as const, id: source },
    ip: call?.from.ip ?? null,
    userAgent: call?.from.userAgent ?? null,
    at: at.toISOString(),
  }
}

function auditEntry(source: string, origin: Origin, change: AuditedChange, at: Date) {
  return {
    ...auditedCall(source, origin, at),
    action: change.action ?? origin.call?.action ?? source,
    resourceType: change.resourceType,
    resourceId: change.resourceId,
    before: auditedValues(change.before),
    after: auditedValues(change.after),
    reason: change.reason ?? null,
  }
}

/** Appends events to the outbox of the session's service, in order, as one statement. */
export function insertOutbox(session: Session<never>, rows: readonly OutboxRow[]): void {
  if (rows.length === 0) return
  session.send(
    `insert into outbox (id, organization_id, lane, type, key, correlation_id, envelope)
     select * from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::json[])`,
    [
      rows.map((row) => row.id),
      rows.map((row) => row.organizationId),
      rows.map((row) => row.lane),
      rows.map((row) => row.type),
      rows.map((row) => row.key),
      rows.map((row) => row.correlationId),
      rows.map((row) => row.envelope),
    ],
  )
}

/** Collects what one or more pieces of work state and ask for, until their commit writes it. */
export class Unit {
  readonly rows: OutboxRow[] = []
  readonly jobs: JobRequest[] = []
  readonly #source: string
  readonly #shared = new Map<SharedWork<never, never, never>, unknown[]>()
  readonly #now: () => number

  /** `now`: milliseconds since 1970, as the process's clock has it. */
  constructor(source: string, now: () => number) {
    this.#source = source
    this.#now = now
  }

  /** The tools for one piece of work. */
  tools(origin: Origin): CommitTools {
    const emit = <Data>(type: EventType<Data>, data: Data, at = new Date(this.#now())) => {
      this.rows.push(outboxRow(this.#source, origin, type, data, currentTraceparent(), at))
    }
    return {
      emit: (type, data) => emit(type, data),
      audit: (change) => {
        const at = new Date(this.#now())
        emit(changeAudited, auditEntry(this.#source, origin, change, at), at)
      },
      later: <Data>(job: JobRef<Data>, data: Data, options: LaterOptions = {}) => {
        this.jobs.push({
          queue: job.name,
          organizationId: origin.organizationId,
          data: job.schema.parse(data),
          options,
          correlationId: origin.correlationId,
          causationId: origin.causationId,
          traceparent: currentTraceparent(),
        })
      },
    }
  }

  /** Leaves an item to work that is done once, by `share`. */
  leave<App, DB, Item>(work: SharedWork<App, DB, Item>, item: Item): void {
    const items = this.#shared.get(work as never)
    if (items) items.push(item)
    else this.#shared.set(work as never, [item])
  }

  /** Does the work that the events of one organization left; what it asks for in turn belongs to their tools. */
  async share(context: { app: unknown; tx: Tx<never>; organizationId: string }): Promise<void> {
    const left = [...this.#shared]
    this.#shared.clear()
    for (const [work, items] of left) await work(context as never, items as never)
  }

  /** Sends what was collected for the session's current organization; it is written when the caller's commit succeeds. */
  flush(session: Session<never>, inserter: JobInserter, from: { rows: number; jobs: number } = { rows: 0, jobs: 0 }): void {
    insertOutbox(session, this.rows.slice(from.rows))
    inserter(session, this.jobs.slice(from.jobs))
  }
}
