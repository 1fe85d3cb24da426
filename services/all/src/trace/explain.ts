import type { Api } from '../api.ts'
import { failure } from '../failure.ts'
import type { AnyService } from '../services.ts'
import { buildChain, type Chain } from './chain.ts'
import { collectTraces, findConversation, findCorrelations, findReceipt } from './collect.ts'
import type { Hearer } from './stops.ts'

/** Every handler with what it hears. */
function hearersOf(services: readonly AnyService[]): Hearer[] {
  return services.flatMap((service) =>
    service.handlers.map((handler) => ({ service: service.name, handler: handler.name, eventType: handler.event.type })),
  )
}

/** The causal chains that an id belongs to, newest first. Throws Failure when nothing knows the id. */
export async function explain(api: Api, services: readonly AnyService[], id: string): Promise<Chain[]> {
  const correlationIds = await findCorrelations(
    api,
    services.map((service) => service.name),
    id,
  )
  if (correlationIds.length === 0) {
    throw failure(
      `Nothing of the last 7 days mentions ${id}. It takes the id of a message (ours or the provider's), an event or a receipt; \`parley receipts list\` shows what came in.`,
    )
  }
  return Promise.all(correlationIds.map((correlationId) => readChain(api, services, correlationId)))
}

/** One causal chain as it is now. */
export async function readChain(api: Api, services: readonly AnyService[], correlationId: string): Promise<Chain> {
  const names = services.map((service) => service.name)
  const traces = await collectTraces(api, names, correlationId)
  // What ingest states follows from a receipt; what a call states follows from nothing.
  const statedIds = new Set(traces.flatMap((trace) => trace.events.map((event) => event.id)))
  const roots = traces
    .filter((trace) => trace.service === 'ingest')
    .flatMap((trace) => trace.events.map((event) => event.causationId))
  const receiptId = roots.find((root) => root !== null && !statedIds.has(root)) ?? correlationId
  return buildChain({
    correlationId,
    traces,
    receipt: await findReceipt(api, receiptId),
    conversation: await findConversation(api, traces),
    hearers: hearersOf(services),
    now: Date.now(),
  })
}

/** Reads a chain again and again until it ran to its end, or only a person can bring it further, or `deadlineMs` is over. */
export async function readFinishedChain(
  api: Api,
  services: readonly AnyService[],
  correlationId: string,
  deadlineMs: number,
): Promise<Chain> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const chain = await readChain(api, services, correlationId)
    if (chain.stops.every((stop) => !stop.passing) || performance.now() > deadline) return chain
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
