import { Id, Timestamp } from '@parley/contracts'
import { z } from 'zod'
import { opsPath, route } from './ops-app.ts'
import { DeadLetter, toDeadLetter } from './ops-dead-letter-row.ts'
import { listChainDeadLetters, listChainEffects, listChainEvents, listChainJobs, listHandled } from './ops-trace-rows.ts'

const TraceEvent = z.object({
  id: Id,
  type: z.string(),
  source: z.string(),
  time: Timestamp,
  committedAt: Timestamp,
  key: z.string(),
  causationId: z.string().nullable(),
  correlationId: z.string(),
  traceparent: z.string().nullable(),
})
const Trace = z.object({
  service: z.string(),
  events: z.array(TraceEvent),
  handled: z.array(z.object({ eventId: Id, handler: z.string(), handledAt: Timestamp })),
  jobs: z.array(
    z.object({
      id: Id,
      name: z.string(),
      state: z.string(),
      attempt: z.int(),
      createdAt: Timestamp,
      dueAt: Timestamp,
      startedAt: Timestamp.nullable(),
      completedAt: Timestamp.nullable(),
      causationId: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
  effects: z.array(
    z.object({
      key: z.string(),
      kind: z.string(),
      state: z.string(),
      reference: z.string().nullable(),
      foundByLookup: z.boolean(),
      tries: z.int(),
      detail: z.string().nullable(),
      intendedAt: Timestamp,
      settledAt: Timestamp.nullable(),
    }),
  ),
  deadLetters: z.array(DeadLetter),
})

/** Tells a service's part of a causal chain. */
export function traceRoutes(serviceName: string) {
  return [
    route({
      method: 'POST',
      path: `${opsPath(serviceName)}/trace`,
      summary: `What ${serviceName} stated, handled, ran and gave up in one causal chain.`,
      scope: 'ops:read',
      body: z.strictObject({ correlationId: z.string().min(1).max(64), eventIds: z.array(Id).max(2_000).default([]) }),
      reply: Trace,
      async run({ body, caller, read }) {
        const chain = { organizationId: caller.organizationId, correlationId: body.correlationId }
        return read(async (tx) => {
          const events = await listChainEvents(tx, chain)
          // Those of other services too: what was handled here was mostly stated elsewhere.
          const eventIds = [...new Set([...body.eventIds, ...events.map((event) => event.id)])]
          return {
            service: serviceName,
            events,
            handled: await listHandled(tx, caller.organizationId, eventIds),
            jobs: await listChainJobs(tx, serviceName, chain),
            effects: await listChainEffects(tx, chain),
            deadLetters: (await listChainDeadLetters(tx, chain)).map((row) => toDeadLetter(serviceName, row)),
          }
        })
      },
    }),
  ]
}
