import { opsRoutes, parsePlace } from '@parley/runtime'
import type { AnyService } from './services.ts'

interface Node {
  fixed: Map<string, Node>
  /** Below a `:parameter`. */
  any: Node | undefined
  service: string | undefined
}

const node = (): Node => ({ fixed: new Map(), any: undefined, service: undefined })

/** Which service answers a path, by the services' own route lists; undefined when none does. A fixed segment wins over a parameter. */
export function routeTable(services: readonly AnyService[]): (path: string) => string | undefined {
  const root = node()
  for (const service of services) {
    for (const route of [...service.routes, ...opsRoutes(service.name)]) {
      for (const path of [route.path, ...route.also.map((place) => parsePlace(place).url)]) add(root, path, service.name)
    }
  }
  // A plugin's own routes are known to Fastify only once it runs; its service says under which paths they are.
  const plugins = services.flatMap((service) => service.pluginPaths.map((prefix) => ({ service: service.name, prefix })))
  return (path) =>
    find(root, path.split('/').slice(1)) ??
    plugins.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))?.service
}

function add(root: Node, path: string, service: string): void {
  let place = root
  for (const segment of path.split('/').slice(1)) {
    if (segment.startsWith(':')) place = place.any ??= node()
    else {
      const next = place.fixed.get(segment) ?? node()
      place.fixed.set(segment, next)
      place = next
    }
  }
  if (place.service !== undefined && place.service !== service)
    throw new TypeError(`${path} belongs to ${place.service} and to ${service}.`)
  place.service = service
}

function find(place: Node, segments: readonly string[]): string | undefined {
  const [segment, ...rest] = segments
  if (segment === undefined) return place.service
  const next = place.fixed.get(segment)
  const found = next && find(next, rest)
  if (found !== undefined || segment === '') return found
  return place.any && find(place.any, rest)
}
