import type { Refusals, Route } from '../../../packages/runtime/src/index.ts'

/** What the document needs to know of a route; packages/runtime's Route is one. */
export type RouteShape = Pick<Route, 'method' | 'path' | 'summary' | 'scope' | 'reply'> &
  Partial<Pick<Route, 'also' | 'params' | 'query' | 'body' | 'status' | 'personalData' | 'perMinute'>> & { refuses?: Refusals }

/** The same with nothing left out. */
export type FullRoute = Required<RouteShape>

export function completed(route: RouteShape): FullRoute {
  return {
    also: [],
    params: undefined,
    query: undefined,
    body: undefined,
    status: 200,
    personalData: null,
    perMinute: null,
    refuses: {},
    ...route,
  }
}

/** Routes for who runs the installation; a key out of PARLEY_API_KEYS opens them, no member's role does. */
export const isForOperators = (path: string) => /^\/v1\/(operator|dev)\//.test(path)
