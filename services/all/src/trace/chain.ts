import type { Conversation, Receipt, ServiceTrace, TraceEffect, TraceJob } from './collect.ts'
import { type EventFact, findStops, type Hearer, type Stop } from './stops.ts'

/** Somebody did something at a moment because of something else. */
export interface Step {
  id: string
  /** Id of the step that led to this one; null at the start of the chain. */
  cause: string | null
  service: string
  kind: 'received' | 'handled' | 'job' | 'effect'
  /** Provider of the webhook, handlers, the job, or the kind of effect. */
  name: string
  /** Type of the event that was heard; of a webhook, its topic. */
  heard: string | null
  /** What a reader may look up: receipt, event heard, job run, or the reference at the provider. */
  subject: string
  /** Milliseconds since 1970. */
  startedAt: number
  endedAt: number
  /** A job: when it was due. Other steps: when they started. */
  dueAt: number
  stated: { id: string; type: string }[]
  asked: { id: string; name: string; delayMs: number }[]
  state: string
  detail: string | null
}

export interface Chain {
  correlationId: string
  /** When the webhook came in, or the first thing happened. */
  startedAt: number
  endedAt: number
  steps: Step[]
  stops: Stop[]
  /** W3C trace id, for whoever exports spans. */
  traceId: string | null
}

export interface ChainParts {
  correlationId: string
  traces: readonly ServiceTrace[]
  receipt: Receipt | undefined
  conversation: Conversation | undefined
  /** Who hears what, to tell what has not been heard yet. */
  hearers: readonly Hearer[]
  now: number
}

const at = (moment: string) => Date.parse(moment)

/** Puts the services' parts together: what led to what, when, and where it does not go on. Pure. */
export function buildChain(parts: ChainParts): Chain {
  const { traces, receipt } = parts
  const events = new Map<string, EventFact>()
  for (const trace of traces) {
    for (const { id, type, traceparent } of trace.events) events.set(id, { id, type, traceparent, service: trace.service })
  }
  const steps = traces.flatMap((trace) => [
    ...rootSteps(trace, receipt, events),
    ...handledSteps(trace, events),
    ...trace.jobs.flatMap((job) => jobStep(trace, job)),
    ...trace.effects.map((effect) => effectStep(trace, effect)),
  ])
  linkCauses(steps)
  const depths = depthsOf(steps)
  steps.sort((a, b) => a.startedAt - b.startedAt || (depths.get(a.id) ?? 0) - (depths.get(b.id) ?? 0))
  const startedAt = receipt ? at(receipt.receivedAt) : (steps[0]?.startedAt ?? parts.now)
  return {
    correlationId: parts.correlationId,
    startedAt,
    endedAt: Math.max(startedAt, ...steps.map((step) => step.endedAt)),
    steps,
    stops: findStops(parts, events),
    traceId: [...events.values()].map((event) => event.traceparent?.split('-')[1]).find((id) => id !== undefined) ?? null,
  }
}

/** What follows from `cause` (an event heard, a job run, a receipt) in one service. */
function resultsOf(trace: ServiceTrace, cause: string | null): Pick<Step, 'stated' | 'asked'> {
  return {
    stated: trace.events.filter((event) => event.causationId === cause).map(({ id, type }) => ({ id, type })),
    asked: trace.jobs
      .filter((job) => job.causationId === cause)
      .map((job) => ({ id: job.id, name: job.name, delayMs: Math.max(0, at(job.dueAt) - at(job.createdAt)) })),
  }
}

/** Where a chain enters: a webhook, or a call to a route. */
function rootSteps(trace: ServiceTrace, receipt: Receipt | undefined, events: ReadonlyMap<string, EventFact>): Step[] {
  const runs = new Set(trace.jobs.map((job) => job.id))
  const made = [
    ...trace.events.map(({ causationId, time }) => ({ causationId, at: at(time) })),
    ...trace.jobs.map(({ causationId, createdAt }) => ({ causationId, at: at(createdAt) })),
  ]
  const entries = Map.groupBy(
    made.filter(({ causationId }) => causationId === null || (!events.has(causationId) && !runs.has(causationId))),
    ({ causationId }) => causationId,
  )
  return [...entries].map(([cause, things]) => {
    const first = Math.min(...things.map((thing) => thing.at))
    const isWebhook = receipt !== undefined && (cause === receipt.id || trace.service === 'ingest')
    const startedAt = isWebhook ? Math.min(first, at(receipt.receivedAt)) : first
    return {
      id: `${trace.service}/root/${cause ?? ''}`,
      cause: null,
      service: trace.service,
      kind: 'received',
      name: isWebhook ? `${receipt.provider} webhook` : 'call',
      heard: isWebhook ? receipt.topic : null,
      subject: isWebhook ? receipt.id : (cause ?? trace.events[0]?.id ?? trace.service),
      startedAt,
      endedAt: first,
      dueAt: startedAt,
      ...resultsOf(trace, cause),
      state: 'done',
      detail: null,
    } satisfies Step
  })
}

/** Handlers of one service that heard the same event share a step: what follows from them cannot be told apart. */
function handledSteps(trace: ServiceTrace, events: ReadonlyMap<string, EventFact>): Step[] {
  return [...Map.groupBy(trace.handled, (row) => row.eventId)].flatMap(([eventId, rows]) => {
    const event = events.get(eventId)
    if (!event) return []
    const moment = Math.min(...rows.map((row) => at(row.handledAt)))
    return [
      {
        id: `${trace.service}/${eventId}`,
        cause: null,
        service: trace.service,
        kind: 'handled',
        name: rows.map((row) => row.handler).join(', '),
        heard: event.type,
        subject: eventId,
        startedAt: moment,
        endedAt: moment,
        dueAt: moment,
        ...resultsOf(trace, eventId),
        state: 'done',
        detail: null,
      } satisfies Step,
    ]
  })
}

const jobStepId = (service: string, jobId: string) => `${service}/job/${jobId}`

function jobStep(trace: ServiceTrace, job: TraceJob): Step[] {
  if (job.startedAt === null) return [] // It waits: a stop, not a step.
  return [
    {
      id: jobStepId(trace.service, job.id),
      cause: null,
      service: trace.service,
      kind: 'job',
      name: job.name,
      heard: null,
      subject: job.id,
      startedAt: at(job.startedAt),
      endedAt: at(job.completedAt ?? job.startedAt),
      dueAt: at(job.dueAt),
      ...resultsOf(trace, job.id),
      state: job.state,
      detail: job.error,
    },
  ]
}

function effectStep(trace: ServiceTrace, effect: TraceEffect): Step {
  const intended = at(effect.intendedAt)
  // An effect knows no job: it belongs to the run that had started last when it was intended.
  const run = trace.jobs
    .filter((job) => job.startedAt !== null && at(job.startedAt) <= intended)
    .toSorted((a, b) => at(b.startedAt as string) - at(a.startedAt as string))[0]
  return {
    id: `${trace.service}/effect/${effect.key}`,
    cause: run ? jobStepId(trace.service, run.id) : null,
    service: trace.service,
    kind: 'effect',
    name: effect.kind,
    heard: null,
    subject: effect.reference ?? effect.key,
    startedAt: intended,
    endedAt: at(effect.settledAt ?? effect.intendedAt),
    dueAt: intended,
    stated: [],
    asked: [],
    state: effect.state,
    detail: effect.detail ?? (effect.foundByLookup ? 'the answer was lost, a look-up found it' : null),
  }
}

function linkCauses(steps: Step[]): void {
  const statedBy = new Map(steps.flatMap((step) => step.stated.map((event) => [event.id, step.id] as const)))
  const askedBy = new Map(steps.flatMap((step) => step.asked.map((job) => [jobStepId(step.service, job.id), step.id] as const)))
  for (const step of steps) {
    if (step.kind === 'handled') step.cause = statedBy.get(step.subject) ?? null
    if (step.kind === 'job') step.cause = askedBy.get(step.id) ?? null
  }
}

/** How far each step is from the start: what was caused comes after its cause even when clocks show the same millisecond. */
function depthsOf(steps: readonly Step[]): Map<string, number> {
  const byId = new Map(steps.map((step) => [step.id, step]))
  const depths = new Map<string, number>()
  for (const step of steps) {
    let depth = 0
    for (let cause = step.cause; cause !== null && depth <= steps.length; depth++) cause = byId.get(cause)?.cause ?? null
    depths.set(step.id, depth)
  }
  return depths
}
