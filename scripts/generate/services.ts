import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { EventType } from '../../packages/contracts/src/index.ts'
import type { RouteShape } from './openapi.ts'

/** What the documents need to know of a service. */
export interface ServiceShape {
  name: string
  summary?: string
  handlers: readonly { name: string; event: Pick<EventType, 'type' | 'version'> }[]
  states: readonly Pick<EventType, 'type' | 'version'>[]
  routes: readonly RouteShape[]
}

/** Every service of services/, by name, out of the one service object that its src/service.ts exports. */
export async function findServices(root: string): Promise<ServiceShape[]> {
  const names = readdirSync(join(root, 'services'))
    .filter((name) => name !== 'all')
    .toSorted()
  const files = names.map((name) => join(root, 'services', name, 'src', 'service.ts')).filter((file) => existsSync(file))
  return Promise.all(files.map(serviceOf))
}

async function serviceOf(file: string): Promise<ServiceShape> {
  const exported = Object.values((await import(pathToFileURL(file).href)) as Record<string, unknown>)
  const services = exported.filter(isService)
  if (services.length !== 1 || !services[0]) throw new TypeError(`${file} must export one service, not ${services.length}.`)
  return services[0]
}

function isService(value: unknown): value is ServiceShape {
  return typeof value === 'object' && value !== null && ['name', 'handlers', 'states', 'routes'].every((key) => key in value)
}
