import { correlationRoutes } from './ops-correlations.ts'
import { deadLetterRoutes } from './ops-dead-letters.ts'
import { replayRoutes } from './ops-replay.ts'
import { traceRoutes } from './ops-trace.ts'
import type { Route } from './types.ts'

/** The operator's routes that every service has: its dead letters, its part of a causal chain, replay of its outbox. */
export function opsRoutes(serviceName: string): Route<never, never>[] {
  const routes = [
    ...deadLetterRoutes(serviceName),
    ...replayRoutes(serviceName),
    ...correlationRoutes(serviceName),
    ...traceRoutes(serviceName),
  ]
  return routes as unknown as Route<never, never>[]
}
