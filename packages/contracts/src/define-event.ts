import { z } from 'zod'
import { encodeToken } from './lanes.ts'
import { Id, Timestamp } from './primitives.ts'

/** An event contract: declared once with `defineEvent`, imported by whoever emits or hears it. */
export interface EventType<Data = unknown> {
  readonly type: string
  readonly version: number
  readonly summary: string
  readonly schema: z.ZodType<Data>
  /** The value that orders this event among others: same key, same lane, in order. */
  keyOf(data: Data): string
  readonly keyField: string
}

export type DataOf<T> = T extends EventType<infer Data> ? Data : never

/** An event as a handler sees it. */
export interface Event<Data = unknown> {
  readonly id: string
  readonly type: string
  readonly version: number
  /** The service that stated the fact. */
  readonly source: string
  readonly time: string
  readonly key: string
  readonly organizationId: string
  /** The event, job run or receipt that this one follows from; absent at the start of a chain. */
  readonly causationId: string | undefined
  /** Shared by everything that follows from one webhook or call. */
  readonly correlationId: string
  readonly traceparent: string | undefined
  readonly data: Data
}

const known = new Map<string, EventType>()
const typePattern = /^[a-z][a-z_]*\.[a-z][a-z_]*$/

/**
 * Declares an event. `type` is `<noun>.<past_tense>`; `key` names the string field of `data` that orders it. A field may be
 * added later (optional), never changed or removed: a new shape is `version: 2` beside version 1, which the contract
 * test enforces against the committed snapshot.
 */
export function defineEvent<Shape extends z.ZodRawShape>(spec: {
  type: string
  version: number
  key: keyof Shape & string
  summary: string
  data: z.ZodObject<Shape>
}): EventType<z.infer<z.ZodObject<Shape>>> {
  const id = `${spec.type}/${spec.version}`
  if (!typePattern.test(spec.type)) throw new TypeError(`Event type '${spec.type}' must look like noun.past_tense.`)
  if (known.has(id)) throw new TypeError(`Event ${id} is declared twice.`)
  const schema = spec.data as unknown as z.ZodType<z.infer<z.ZodObject<Shape>>>
  const event: EventType<z.infer<z.ZodObject<Shape>>> = {
    type: spec.type,
    version: spec.version,
    summary: spec.summary,
    schema,
    keyField: spec.key,
    keyOf: (data) => String((data as Record<string, unknown>)[spec.key]),
  }
  known.set(id, event as EventType)
  return event
}

/** Every declared event, by type and version. */
export function allEvents(): EventType[] {
  return [...known.values()].sort((a, b) => a.type.localeCompare(b.type) || a.version - b.version)
}

export function findEvent(type: string, version: number): EventType | undefined {
  return known.get(`${type}/${version}`)
}

/** The CloudEvents 1.0 attributes that travel with the data, JSON format, extension names in lower case as it demands. */
export const Envelope = z.object({
  specversion: z.literal('1.0'),
  id: Id,
  type: z.string().regex(typePattern),
  source: z.string().min(1).max(64),
  time: Timestamp,
  subject: z.string().min(1).max(512),
  datacontenttype: z.literal('application/json'),
  dataversion: z.int().min(1),
  organizationid: Id,
  causationid: z.string().max(64).optional(),
  correlationid: z.string().min(1).max(64),
  traceparent: z.string().max(128).optional(),
  data: z.unknown(),
})
export type Envelope = z.infer<typeof Envelope>

/** Wire form of an event. */
export function toEnvelope(event: Event): Envelope {
  return {
    specversion: '1.0',
    id: event.id,
    type: event.type,
    source: event.source,
    time: event.time,
    subject: event.key,
    datacontenttype: 'application/json',
    dataversion: event.version,
    organizationid: event.organizationId,
    ...(event.causationId === undefined ? {} : { causationid: event.causationId }),
    correlationid: event.correlationId,
    ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
    data: event.data,
  }
}

/** Why a message on the bus is not an event we can use. */
export class ContractError extends Error {
  override name = 'ContractError'
}

/** Why an event cannot be stated: no subject can hold its key, so no relay could ever publish it. */
export class UnfitKey extends ContractError {}

/** Why an event cannot be stated: it takes more bytes than the bus carries. */
export class TooLarge extends ContractError {}

/** Parses a wire envelope and its data against the declared contract. Throws ContractError naming the field. */
export function fromEnvelope(input: unknown): Event {
  const envelope = Envelope.safeParse(input)
  if (!envelope.success) throw new ContractError(`Not an event: ${z.prettifyError(envelope.error)}`)
  const { data: wire } = envelope
  const contract = findEvent(wire.type, wire.dataversion)
  if (!contract) throw new ContractError(`No contract for ${wire.type} version ${wire.dataversion}.`)
  const data = contract.schema.safeParse(wire.data)
  if (!data.success) {
    throw new ContractError(`${wire.type} version ${wire.dataversion}: ${z.prettifyError(data.error)}`)
  }
  if (contract.keyOf(data.data) !== wire.subject) {
    throw new ContractError(`${wire.type}: subject '${encodeToken(wire.subject)}' is not its ${contract.keyField}.`)
  }
  return {
    id: wire.id,
    type: wire.type,
    version: wire.dataversion,
    source: wire.source,
    time: wire.time,
    key: wire.subject,
    organizationId: wire.organizationid,
    causationId: wire.causationid,
    correlationId: wire.correlationid,
    traceparent: wire.traceparent,
    data: data.data,
  }
}
