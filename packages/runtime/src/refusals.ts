import type { ErrorCode } from './errors.ts'
import type { Route } from './types.ts'

/** The words a route refuses with beside what may come to every call, by their code. */
export type Refusals = Readonly<Partial<Record<ErrorCode, string | readonly string[]>>>

type Shape = Pick<Route, 'method' | 'scope' | 'params' | 'query' | 'body'> & { refuses?: Refusals | undefined }

/** The runtime carries such a call out once per Idempotency-Key; public calls have no owner that a key could belong to. */
export const takesIdempotencyKey = ({ method, scope }: Pick<Shape, 'method' | 'scope'>) => method === 'POST' && scope !== 'public'

/**
 * Every code that a call of this route may be refused with: what the runtime refuses by itself, and what the route names in
 * `refuses`. docs/openapi.json lists exactly these, and a test's call that is refused with another one fails.
 */
export function refusalCodes(route: Shape): ReadonlySet<ErrorCode> {
  const takesKey = takesIdempotencyKey(route)
  const codes: ErrorCode[] = [
    // No route takes a parameter that it does not know.
    'invalid',
    ...(route.scope === 'public' ? [] : (['unauthenticated', 'forbidden'] as const)),
    ...(route.body === undefined ? [] : (['too_large', 'unsupported_media_type'] as const)),
    ...(takesKey ? (['conflict', 'unprocessable'] as const) : []),
    'too_many_requests',
    'internal',
    'unavailable',
  ]
  return new Set([...codes, ...(Object.keys(route.refuses ?? {}) as ErrorCode[])])
}
