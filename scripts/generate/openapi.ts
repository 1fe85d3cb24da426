import { opsRoutes } from '../../packages/runtime/src/index.ts'
import type { JsonObject } from './json-schema.ts'
import { components, introduction } from './openapi/components.ts'
import { type Door, doors as allDoors } from './openapi/doors.ts'
import { namedSchemas } from './openapi/named-schemas.ts'
import { type Address, operation } from './openapi/operation.ts'
import { completed, type FullRoute, type RouteShape } from './openapi/route-shape.ts'
import { apiTags, type Tag, tagOf } from './openapi/tags.ts'
import { tidy } from './openapi/tidy.ts'

export type { RouteShape } from './openapi/route-shape.ts'

export interface DocumentedService {
  name: string
  routes: readonly RouteShape[]
  /** What a plugin answers beside the routes. */
  pluginPaths?: readonly string[]
}

/** docs/openapi.json, OpenAPI 3.1, of all there is. Throws TypeError when a service's plugin answers where `doors` says nothing. */
export function apiDocument(services: readonly DocumentedService[], version: string): JsonObject {
  // The same routes in every service: once, with the service's name as a parameter.
  const ops = opsRoutes(':service').map((route) => ({ ...route, summary: route.summary.replace(':service', 'a service') }))
  for (const path of services.flatMap(({ pluginPaths = [] }) => pluginPaths))
    if (!allDoors.some((door) => door.path.startsWith(path)))
      throw new TypeError(`A plugin answers below ${path}, and scripts/generate/openapi/doors.ts does not say what.`)
  return openapi([...services, { name: 'runtime', routes: ops }], version, apiTags, allDoors)
}

/** The document of these routes. Throws TypeError when two claim one method and path, or an example does not fit. */
export function openapi(
  services: readonly DocumentedService[],
  version: string,
  tags: readonly Tag[],
  doors: readonly Door[] = [],
): JsonObject {
  const schemas: JsonObject = {}
  const paths: Record<string, JsonObject> = {}
  const add = ({ method, path }: Pick<Address, 'method' | 'path'>, call: JsonObject) => {
    const item = (paths[templateOf(path)] ??= {})
    if (method in item) throw new TypeError(`Two routes answer ${method.toUpperCase()} ${path}.`)
    item[method] = call
  }
  const routes = services.flatMap((service) => service.routes.map(completed))
  const shared = { schemas, names: namedSchemas(routes) }
  for (const route of routes)
    for (const address of addressesOf(route)) add(address, operation(route, address, tagOf(route.path, tags), shared))
  for (const door of doors) add(door, { ...door.operation, tags: [tagOf(door.grouped ?? door.path, tags)] })
  const used = new Set(Object.values(paths).flatMap((item) => Object.values(item).flatMap((call) => (call as Call).tags)))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      description: introduction,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'Where this document was read.' }],
    security: [{ accessToken: [] }, { apiKey: [] }],
    tags: tags.filter(({ name }) => used.has(name)).map(({ name, description }) => ({ name, description })),
    paths: Object.fromEntries(Object.entries(paths).toSorted(([a], [b]) => a.localeCompare(b))),
    components: components(tidy(schemas) as JsonObject),
  }
}

type Call = { tags: string[] }

function addressesOf(route: FullRoute): Address[] {
  const aliases = route.also.map((text) => {
    const [method = '', path = ''] = text.split(' ')
    if (!/^[A-Z]+$/.test(method) || !path.startsWith('/'))
      throw new TypeError(`'${text}' of ${route.path} must look like METHOD /path.`)
    return { method: method.toLowerCase(), path, isAlias: true }
  })
  return [{ method: route.method.toLowerCase(), path: route.path, isAlias: false }, ...aliases]
}

const templateOf = (path: string) => path.replace(/:(\w+)/g, '{$1}')
