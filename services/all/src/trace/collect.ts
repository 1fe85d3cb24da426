import { messageAdded } from '@parley/contracts'
import { z } from 'zod'
import type { Api } from '../api.ts'

const Moment = z.string()

export const DeadLetter = z.object({
  id: z.string(),
  service: z.string(),
  kind: z.enum(['event', 'job']),
  handler: z.string(),
  type: z.string(),
  eventId: z.string(),
  key: z.string(),
  correlationId: z.string().nullable(),
  state: z.enum(['retrying', 'waiting', 'dead', 'held', 'redriven', 'dropped', 'recovered']),
  errorClass: z.string().nullable(),
  error: z.string().nullable(),
  attempts: z.number(),
  firstAt: Moment,
  lastAt: Moment,
})
export type DeadLetter = z.infer<typeof DeadLetter>

const TraceEvent = z.object({
  id: z.string(),
  type: z.string(),
  key: z.string(),
  time: Moment,
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
})
const TraceJob = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  attempt: z.number(),
  createdAt: Moment,
  dueAt: Moment,
  startedAt: Moment.nullable(),
  completedAt: Moment.nullable(),
  causationId: z.string().nullable(),
  error: z.string().nullable(),
})
export type TraceJob = z.infer<typeof TraceJob>
const TraceEffect = z.object({
  key: z.string(),
  kind: z.string(),
  state: z.string(),
  reference: z.string().nullable(),
  foundByLookup: z.boolean(),
  tries: z.number(),
  detail: z.string().nullable(),
  intendedAt: Moment,
  settledAt: Moment.nullable(),
})
export type TraceEffect = z.infer<typeof TraceEffect>

/** One service's part of a causal chain, as its ops route tells it. */
export const ServiceTrace = z.object({
  service: z.string(),
  events: z.array(TraceEvent),
  handled: z.array(z.object({ eventId: z.string(), handler: z.string(), handledAt: Moment })),
  jobs: z.array(TraceJob),
  effects: z.array(TraceEffect),
  deadLetters: z.array(DeadLetter),
})
export type ServiceTrace = z.infer<typeof ServiceTrace>

/** The delivery that a chain began with, as ingest keeps it. */
export const Receipt = z.object({
  id: z.string(),
  provider: z.string(),
  topic: z.string(),
  state: z.string(),
  note: z.string().nullable(),
  error: z.string().nullable(),
  correlationId: z.string(),
  eventCount: z.number(),
  duplicateCount: z.number(),
  receivedAt: Moment,
})
export type Receipt = z.infer<typeof Receipt>

/** Who speaks for the shop in the conversation of a chain. */
export const Conversation = z.object({
  id: z.string(),
  status: z.string(),
  handedOverAt: Moment.nullable(),
  handedOverReason: z.string().nullable(),
  handedOverNote: z.string().nullable(),
})
export type Conversation = z.infer<typeof Conversation>

/** The conversation that a chain added a message to; undefined when it added none. */
export async function findConversation(api: Api, traces: readonly ServiceTrace[]): Promise<Conversation | undefined> {
  const added = traces.flatMap((trace) => trace.events).find((event) => event.type === messageAdded.type)
  return added && api.find(`/v1/conversations/${added.key}`, Conversation)
}

/** Which chains an id of any kind belongs to: of an event, a receipt, a message here or at the provider. Newest first. */
export async function findCorrelations(api: Api, services: readonly string[], id: string): Promise<string[]> {
  const receipt = await findReceipt(api, id)
  if (receipt) return [receipt.correlationId]
  const Found = z.object({ correlationIds: z.array(z.string()) })
  const answers = await Promise.all(
    services.map((service) => api.get(`/v1/ops/${service}/correlations/${encodeURIComponent(id)}`, Found)),
  )
  return [...new Set(answers.flatMap((answer) => answer.correlationIds))]
}

/** The receipt of that id; undefined when there is none, or the id cannot be one. */
export async function findReceipt(api: Api, id: string): Promise<Receipt | undefined> {
  return z.uuid().safeParse(id).success ? api.find(`/v1/receipts/${id}`, Receipt) : undefined
}

/**
 * All parts of one chain. Asked twice: an event is known to the service that stated it, whether it was handled to those that
 * hear it, so the second round carries the ids that the first one found.
 */
export async function collectTraces(api: Api, services: readonly string[], correlationId: string): Promise<ServiceTrace[]> {
  const ask = (eventIds: string[]) =>
    Promise.all(services.map((service) => api.post(`/v1/ops/${service}/trace`, { correlationId, eventIds }, ServiceTrace)))
  const first = await ask([])
  const eventIds = first.flatMap((trace) => trace.events.map((event) => event.id)).slice(0, 2_000)
  return eventIds.length === 0 ? first : ask(eventIds)
}
