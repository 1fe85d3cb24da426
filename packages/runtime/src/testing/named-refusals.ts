import type { ErrorCode } from '../errors.ts'
import { refusalCodes } from '../refusals.ts'
import type { Route } from '../types.ts'

type AnyRoute = Route<never, never>

/**
 * Throws when a call was refused with a code that its route does not name: docs/openapi.json tells clients that it cannot happen.
 * Every call of every test passes here, so that the list of each route is as true as the tests are many.
 */
export function assertNamed(routes: readonly AnyRoute[], method: string, path: string, code: string | undefined): void {
  if (code === undefined) return
  const route = routeOf(routes, method, path.split('?', 1)[0] ?? '')
  // Not a route, or not one of this method: what the door says to that is no route's answer.
  if (route === undefined || refusalCodes(route).has(code as ErrorCode)) return
  throw new Error(`${route.method} ${route.path} was refused with '${code}', which it does not name: add it to its 'refuses'.`)
}

function routeOf(routes: readonly AnyRoute[], method: string, path: string): AnyRoute | undefined {
  const places = routes.flatMap((route) =>
    [`${route.method} ${route.path}`, ...route.also].map((place) => ({ route, pattern: patternOf(place) })),
  )
  const matching = places.filter(({ pattern }) => pattern.test(`${method} ${path}`))
  // `/v1/me/sessions` beside `/v1/me/:x`: the one with fewer parameters answers.
  return matching.toSorted((a, b) => parametersOf(a.route.path) - parametersOf(b.route.path))[0]?.route
}

const patternOf = (place: string) =>
  new RegExp(`^${place.replace(/[.+*?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z_]+/g, '[^/]+')}$`)
const parametersOf = (path: string) => path.split(':').length
