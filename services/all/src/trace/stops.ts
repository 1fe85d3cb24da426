import type { ChainParts } from './chain.ts'
import type { Conversation, DeadLetter, Receipt, ServiceTrace, TraceEffect, TraceJob } from './collect.ts'

/** A point at which a chain does not go on, and why. */
export interface Stop {
  service: string
  what: string
  why: string
  /** What a person can do about it. */
  remedy: string | null
  /** True when it goes on by itself. */
  passing: boolean
}

export interface Hearer {
  service: string
  handler: string
  eventType: string
}

export interface EventFact {
  id: string
  type: string
  service: string
  traceparent: string | null
}

const over = new Set(['redriven', 'dropped', 'recovered'])
const at = (moment: string) => Date.parse(moment)

/** Everything that keeps a chain from being finished; empty when it ran to its end. */
export function findStops(chain: ChainParts, events: ReadonlyMap<string, EventFact>): Stop[] {
  const stops = [
    ...(chain.receipt ? receiptStops(chain.receipt) : []),
    ...(chain.conversation ? personStops(chain.conversation, chain.traces) : []),
  ]
  for (const trace of chain.traces) {
    stops.push(...letterStops(trace))
    for (const job of trace.jobs) stops.push(...jobStops(trace, job, chain.now))
    for (const effect of trace.effects) stops.push(...effectStops(trace.service, effect))
    stops.push(...unheardStops(trace, chain.hearers, events))
  }
  return stops
}

function receiptStops(receipt: Receipt): Stop[] {
  const stop = (what: string, why: string, remedy: string | null = null): Stop[] => [
    { service: 'ingest', what: `receipt ${receipt.id} ${what}`, why, remedy, passing: false },
  ]
  if (receipt.state === 'dead') {
    const why = receipt.error ?? receipt.note ?? 'no reason is recorded'
    return stop('could not be read', why, `parley receipts replay ${receipt.id}, once the cause is gone`)
  }
  if (receipt.eventCount > 0) return []
  if (receipt.duplicateCount > 0) return stop('states nothing', 'all of it had come before: a duplicate delivery')
  return stop(`is ${receipt.state}`, receipt.note ?? 'there is nothing in it that we use')
}

/** What kept an agent from answering, though nothing went wrong. */
const limits: Record<string, string> = {
  messages_used_up: 'the messages of the plan are used up this month, so nothing is answered by itself',
  customers_used_up: 'the customers of the plan are used up this month, and this one is new in it',
  came_too_late: 'a day had passed, and an automatic answer would startle',
}

/** Silence that is meant: a person had taken the conversation before this message came, or got it because of a limit. */
function personStops(conversation: Conversation, traces: readonly ServiceTrace[]): Stop[] {
  const { id, status, handedOverAt, handedOverReason, handedOverNote } = conversation
  if (status !== 'with_person' || handedOverAt === null) return []
  const added = traces.flatMap((trace) => trace.events).find((event) => event.key === id)
  const wasEarlier = added !== undefined && at(handedOverAt) < at(added.time)
  const limit = handedOverNote === null ? undefined : limits[handedOverNote]
  if (limit === undefined && (!wasEarlier || traces.some((trace) => trace.effects.length > 0))) return []
  const since = `it is with a person since ${handedOverAt} (${handedOverReason ?? 'no reason is recorded'})`
  return [
    {
      service: 'inbox',
      what: `no agent answers in conversation ${id}`,
      why: limit === undefined ? since : `${since}: ${limit}`,
      remedy: `answer it there, or give it back: PATCH /v1/conversations/${id} {"status":"open"}`,
      passing: false,
    },
  ]
}

function letterStops(trace: ServiceTrace): Stop[] {
  return trace.deadLetters
    .filter((letter) => !over.has(letter.state))
    .map((letter) => (letter.state === 'held' ? heldStop(letter) : letterStop(letter)))
}

function heldStop({ id, service, handler }: DeadLetter): Stop {
  return {
    service,
    what: `job ${handler} is held`,
    why: 'its organization is closed; it goes on when that opens again',
    remedy: `parley dead drop ${id}, if it is not to happen any more`,
    passing: false,
  }
}

function letterStop(letter: DeadLetter): Stop {
  return {
    service: letter.service,
    what:
      letter.kind === 'job'
        ? `job ${letter.handler} was given up after ${letter.attempts} tries`
        : `${letter.handler} could not take ${letter.type} (${letter.state}, ${letter.attempts} tries)`,
    why: letter.error ?? 'an earlier event of the same key has to be taken first',
    remedy: letter.state === 'dead' ? `parley dead redrive ${letter.id}, once the cause is gone` : null,
    passing: letter.state !== 'dead',
  }
}

function jobStops(trace: ServiceTrace, job: TraceJob, now: number): Stop[] {
  if (job.state === 'completed' || job.state === 'cancelled') return []
  // What was given up is among the dead letters, with its error.
  if (job.state === 'failed' && trace.deadLetters.some((letter) => letter.kind === 'job' && letter.eventId === job.id)) return []
  const dueInMs = at(job.dueAt) - now
  const when = dueInMs > 0 ? `due in ${Math.ceil(dueInMs / 1_000)} s` : 'due now'
  const states: Record<string, string> = {
    created: `waits, ${when}`,
    retry: `failed ${job.attempt - 1} times and is tried again, ${when}`,
    active: `is running, try ${job.attempt}`,
  }
  return [
    {
      service: trace.service,
      what: `job ${job.name} ${states[job.state] ?? `is ${job.state}`}`,
      why: job.error ?? (job.state === 'failed' ? 'no error is recorded' : 'it has not finished yet'),
      remedy: null,
      passing: job.state !== 'failed',
    },
  ]
}

const effectReasons: Record<string, string> = {
  intent: 'the call is under way, or was cut off',
  unknown: 'the outside system did not answer; it is asked whether the call happened',
  manual: 'nobody could find out whether it happened: a person decides',
  refused: 'the outside system refused it',
  stopped: 'a last check stopped it before the call',
}

function effectStops(service: string, effect: TraceEffect): Stop[] {
  if (effect.state === 'confirmed') return []
  const why = effectReasons[effect.state] ?? 'no reason is recorded'
  return [
    {
      service,
      what: `${effect.kind} is ${effect.state}`,
      why: effect.detail === null ? why : `${why} (${effect.detail})`,
      remedy: null,
      passing: effect.state === 'intent' || effect.state === 'unknown',
    },
  ]
}

/** Events that a handler of this service hears, has not heard, and has not put aside either. */
function unheardStops(trace: ServiceTrace, hearers: readonly Hearer[], events: ReadonlyMap<string, EventFact>): Stop[] {
  const known = new Set([
    ...trace.handled.map((row) => `${row.handler}/${row.eventId}`),
    ...trace.deadLetters.map((letter) => `${letter.handler}/${letter.eventId}`),
  ])
  return [...events.values()].flatMap((event) =>
    hearers
      .filter(
        (hearer) =>
          hearer.service === trace.service && hearer.eventType === event.type && !known.has(`${hearer.handler}/${event.id}`),
      )
      .map((hearer) => ({
        service: hearer.service,
        what: `${hearer.handler} has not heard ${event.type} ${event.id} yet`,
        why: 'it is on its way: in the outbox, on the bus, or behind others of its lane',
        remedy: null,
        passing: true,
      })),
  )
}
